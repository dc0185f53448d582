"""What is kept of answers that were given, and what makes room."""

from concurrent.futures import ThreadPoolExecutor

from service.kept import Addresses, Given, Kept, Question
from service.ready import Body


def question(ident: str, asked: str = "") -> Question:
    return Question(ident, asked, "shape", "json", gzipped=False)


def given(name: str, size: int = 280, known: int = 0) -> Given:
    return Given(name, known, Body(b"x" * size, 1))


def test_the_last_answer_to_a_question_is_found_by_its_name_alone() -> None:
    kept = Kept()
    kept.keep(question("bread"), given("old"))
    kept.keep(question("bread"), given("new"))

    assert kept.find(question("bread"), "new") == given("new").body
    assert kept.find(question("bread"), "old") is None
    assert kept.find(question("rye"), "new") is None
    assert kept.last(question("bread")) == given("new")
    assert len(kept) == 1


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    kept = Kept(room=5_000)  # five of 1,000 bytes, overhead included
    for number in range(5):
        kept.keep(question(str(number)), given("name"))
    assert kept.last(question("0"))
    kept.keep(question("5"), given("name"))

    assert [number for number in range(6) if kept.last(question(str(number)))] == [0, 2, 3, 4, 5]


def test_plain_pages_are_the_last_to_go() -> None:
    kept = Kept(room=8_000)
    for number in range(7):
        kept.keep(question(str(number)), given("name"))
    for number in range(50):
        kept.keep(question("0", asked=f"limit {number}"), given("name"))

    assert [number for number in range(7) if kept.last(question(str(number)))] == list(range(7))
    assert kept.last(question("0", asked="limit 49"))
    assert len(kept) == 8


def test_where_no_plain_page_is_asked_for_others_have_all_the_room() -> None:
    kept = Kept(room=8_000)
    for number in range(50):
        kept.keep(question("0", asked=f"limit {number}"), given("name"))

    assert len(kept) == 8


def test_an_answer_larger_than_the_room_is_not_kept() -> None:
    kept = Kept(room=1_000)
    kept.keep(question("bread"), given("name", size=2_000))

    assert len(kept) == 0
    kept.keep(question("bread"), given("name"))
    assert len(kept) == 1, "and takes none of it"


def test_a_long_question_takes_room_as_an_answer_does() -> None:
    kept = Kept(room=20_000)
    for number in range(50):
        kept.keep(question("0", asked=f"exclude {number:08000}"), given("name"))

    assert len(kept) == 2


def test_many_threads_may_keep_and_find_at_once() -> None:
    kept, addresses = Kept(room=20_000), Addresses(most=20)

    def work(seed: int) -> None:
        for number in range(2_000):
            ident = str((seed * 7 + number) % 60)
            kept.keep(question(ident, asked="limit" if number % 3 else ""), given(ident))
            found = kept.find(question(ident), ident)
            assert found in (None, given(ident).body)
            addresses.keep(ident, ident, "edition")
            assert addresses.find(ident) in (None, (ident, "edition"))

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work, seed) for seed in range(8)]:
            done.result()
    assert len(kept) <= 20
    assert sum(addresses.find(str(number)) is not None for number in range(60)) == 20
