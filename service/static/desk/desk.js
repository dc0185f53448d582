// The desk with a script: keys, decisions without leaving the page, dragging, and search as one types. Every page works
// without it: what is sent here is its forms, what is shown is the server's answer to them.
(() => {
  const WAIT_MS = 150; // after a keystroke, before a search is asked
  const DOUBLE_MS = 400; // two clicks within this are a double click
  const html = document.documentElement;
  html.classList.add("js");

  const find = (what, within = document) => within.querySelector(what);
  const all = (what, within = document) => [...within.querySelectorAll(what)];
  const main = () => find("#main");
  const isShown = (element) => element.getClientRects().length > 0;

  /** An element of this kind with these properties and children; texts are put in as texts. */
  function make(kind, properties = {}, ...children) {
    const element = Object.assign(document.createElement(kind), properties);
    element.append(...children);
    return element;
  }

  const cut = (text, most) => (text.length > most ? `${[...text].slice(0, most).join("")}\u2026` : text);

  // ---- What is said

  const said = make("p", { className: "hidden" });
  /** Have a screen reader say it. The notice on the page, which says the same, is then no live region any more. */
  function say(text) {
    if (!said.isConnected) {
      said.setAttribute("role", "status");
      document.body.append(said);
    }
    find(".done")?.removeAttribute("role");
    said.textContent = text;
  }

  const prompt = make("p", { className: "prompt", hidden: true });
  prompt.setAttribute("role", "alert");
  function ask(text) {
    if (!prompt.isConnected) document.body.append(prompt);
    prompt.textContent = text;
    prompt.hidden = !text;
  }

  /** A question or a message: resolves with the value of the button that closed it, "" for Esc. */
  function talk(title, text, choices) {
    const box = make("dialog");
    const buttons = choices.map(([value, words, cls]) => make("button", { value, textContent: words, className: cls ?? "" }));
    const form = make("form", { method: "dialog", className: "choices" }, ...buttons);
    const heading = make("h2", { textContent: title, id: "talk" });
    const words = make("p", { textContent: text, dir: "auto", id: "talk-text" });
    box.setAttribute("aria-labelledby", "talk");
    box.setAttribute("aria-describedby", "talk-text");
    box.append(heading, words, form);
    document.body.append(box);
    const before = document.activeElement;
    box.showModal();
    buttons.at(-1).focus();
    return new Promise((resolve) => {
      box.addEventListener("close", () => {
        box.remove();
        if (before?.isConnected) before.focus({ preventScroll: true });
        resolve(box.returnValue);
      });
    });
  }

  // ---- Sending

  let sending = Promise.resolve(); // one after the other, so that answers come in the order of decisions
  let waiting = 0;

  /** The answer's document, and where it came from. Throws an Error with a sentence. */
  async function load(address, options) {
    let answer;
    try {
      answer = await fetch(address, { ...options, headers: { Accept: "text/html" }, redirect: "follow" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The desk does not answer. Try again: if it has arrived after all, it is not written twice.");
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (new URL(answer.url).pathname === "/desk/login") throw new Error("You are signed out. Sign in in another tab, then try again.");
    if (!answer.ok) throw new Error(sentence(page) || `The desk answered ${answer.status} ${answer.statusText}.`);
    if (!find("#main", page)) throw new Error("The desk sent something that is no page.");
    return { page, address: new URL(answer.url) };
  }

  const sentence = (page) => all("#main h1, #main p[dir]", page).map((part) => part.textContent.trim()).join(": ");

  /** Send a form; what it answers is shown. The form keeps its key, so that sending it again decides once. */
  function send(form, button) {
    if (form.dataset.sent) return sending;
    form.dataset.sent = "yes";
    const body = new URLSearchParams(new FormData(form, button?.name ? button : null));
    const busy = form.closest(".row") ?? form;
    busy.setAttribute("aria-busy", "true");
    waiting += 1;
    sending = sending.then(async () => {
      try {
        const { page, address } = await load(form.getAttribute("action"), { method: "POST", body });
        waiting -= 1;
        if (address.pathname !== location.pathname) location.assign(address);
        else if (!waiting) show(page, address, form);
      } catch (error) {
        waiting -= 1;
        delete form.dataset.sent;
        busy.removeAttribute("aria-busy");
        if ((await talk("This was not decided", error.message, [["", "Leave it"], ["again", "Try again", "main"]])) === "again") send(form, button);
      }
    });
    return sending;
  }

  /** Put the answer's main part in the place of this one: focus, scrolling and what was unfolded stay. */
  function show(page, address, form) {
    const place = placeOf(document.activeElement?.closest(".row, .job") ?? form?.closest(".row, .job"));
    const anchor = anchorOf(form);
    const open = all("details[open][data-keep]", main()).map(keepsake);
    const top = anchor && find(anchor)?.getBoundingClientRect().top;
    main().replaceWith(document.importNode(find("#main", page), true));
    document.title = page.title || document.title;
    address.searchParams.delete("done");
    history.replaceState(history.state, "", address);
    settle();
    for (const details of all("details[data-keep]", main())) if (open.includes(keepsake(details))) details.open = true;
    if (top !== undefined && find(anchor)) scrollBy(0, find(anchor).getBoundingClientRect().top - top);
    if (place) focusRow(rowAt(place), false);
    say(find(".done p", main())?.textContent.replace(/\s+/g, " ").trim() ?? "");
  }

  const keepsake = (details) => `${listOf(details)} ${details.closest("[data-id]")?.dataset.id ?? ""} ${details.dataset.keep}`;
  const listOf = (element) => element.closest("section[aria-labelledby]")?.getAttribute("aria-labelledby") ?? "";
  const anchorOf = (form) => (form && listOf(form) ? `#${CSS.escape(listOf(form))}` : ".columns");

  function placeOf(row) {
    if (!row) return null;
    const list = listOf(row);
    return { list, id: row.dataset.id, index: rowsOf(list).indexOf(row) };
  }

  const rowsOf = (list) => rows().filter((row) => listOf(row) === list);

  function rowAt({ list, id, index }) {
    const there = rowsOf(list);
    return there.find((row) => row.dataset.id === id) ?? there[Math.min(index, there.length - 1)] ?? rows()[0];
  }

  // ---- Rows

  const rows = () => all(".row, .job", main()).filter(isShown);
  const current = () => document.activeElement?.closest?.(".row, .job") ?? null;

  function focusRow(row, scroll = true) {
    if (!row) return;
    row.focus({ preventScroll: true, focusVisible: true });
    row.scrollIntoView({ block: "nearest", behavior: scroll && !matchMedia("(prefers-reduced-motion: reduce)").matches ? "smooth" : "auto" });
  }

  function step(by) {
    const there = rows();
    const at = there.indexOf(current());
    if (at >= 0) return focusRow(there[Math.min(Math.max(at + by, 0), there.length - 1)]);
    focusRow(there.find((row) => row.getBoundingClientRect().bottom > 80) ?? there[0]);
  }

  /** To the other list, as near to the same height as may be. */
  function cross(list) {
    const there = rowsOf(list);
    const top = current()?.getBoundingClientRect().top ?? 0;
    const away = (row) => Math.abs(row.getBoundingClientRect().top - top);
    focusRow(there.reduce((best, row) => (best && away(best) <= away(row) ? best : row), null));
  }

  const formOf = (row, action) => find(`.acts [data-act="${action}"]`, row ?? document.createElement("i"))?.form;

  function decide(action) {
    const row = current();
    const form = formOf(row, action);
    if (form) form.requestSubmit();
    else if (document.body.dataset.role === "viewer") ask("You are a viewer here: editors decide.");
    else if (row?.matches(".row")) ask(`This row cannot be ${{ approve: "approved", boost: "boosted", bury: "buried", pin: "pinned" }[action] ?? "excluded"} here.`);
  }

  function pinAt(row, position) {
    const form = formOf(row, "pin");
    if (!form) return;
    form.elements.position.value = position;
    form.requestSubmit();
  }

  let pinning = null; // the row whose position is asked for
  function askPosition() {
    const row = current();
    if (!formOf(row, "pin")) return decide("pin");
    pinning = row;
    ask(`Pin at which position? 1 to 9, Enter for ${row.dataset.position ?? 1}, Esc for none.`);
  }

  function answerPosition(event) {
    const row = pinning;
    if (event.key === "Shift") return;
    pinning = null;
    ask("");
    event.preventDefault();
    if (/^[1-9]$/.test(event.key)) pinAt(row, event.key);
    else if (event.key === "Enter") pinAt(row, row.dataset.position ?? 1);
  }

  function move(by) {
    const row = current();
    const list = row?.closest("[data-sortable]");
    if (!list) return;
    const wanted = Number(row.dataset.position) + by;
    if (wanted >= 1 && wanted <= list.children.length) pinAt(row, wanted);
  }

  const undo = () => sending.then(() => (find('.done form[action="/desk/undo"]') ?? find(".history li[data-own]:not(.past) form"))?.requestSubmit());

  function unfold(what) {
    const details = find(`details.${what}`, current() ?? document.createElement("i"));
    if (!details) return;
    details.open = !details.open;
    if (what === "noted" && details.open) find("select", details).focus();
  }

  // ---- Why

  async function tellWhy(details) {
    if (!details.open || details.dataset.asked) return;
    details.dataset.asked = "yes";
    const link = find("p", details);
    const told = make("p", { textContent: "asking\u2026" });
    say("asking\u2026");
    details.setAttribute("aria-busy", "true");
    details.append(told);
    try {
      const { page } = await load(details.dataset.why);
      told.replaceWith(document.importNode(find("[data-fragment]", page), true));
      say("told");
      link?.remove();
    } catch (error) {
      told.textContent = error.message;
      say(error.message);
      delete details.dataset.asked; // folding and unfolding asks again
      details.addEventListener("toggle", () => told.remove(), { once: true });
    } finally {
      details.removeAttribute("aria-busy");
    }
  }

  addEventListener("toggle", (event) => { if (event.target.matches?.("details[data-why]")) tellWhy(event.target); }, true);

  // ---- Search as one types

  let lists = 0;
  /** A list of essays below a field, filled as one types. choose(row) is called with what is chosen. */
  function suggest(field, address, choose) {
    const list = make("ul", { className: "options", id: `options-${++lists}`, hidden: true });
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Essays found");
    field.setAttribute("role", "combobox");
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", list.id);
    field.form.after(list);
    let timer, asking, chosen = -1, found = [];

    function fill(rows, words) {
      found = rows;
      list.replaceChildren(...rows.map(option), ...(words ? [make("li", { className: "none", textContent: words })] : []));
      for (const li of all(".none", list)) { li.setAttribute("role", "option"); li.setAttribute("aria-disabled", "true"); }
      list.hidden = !list.children.length;
      field.setAttribute("aria-expanded", String(!list.hidden));
      select(-1);
    }

    function option(row, number) {
      const more = [row.category && cut(row.category, 80), row.note].filter(Boolean).join(" \u00b7 ");
      const li = make("li", { id: `${list.id}-${number}`, dir: "auto" }, cut(row.title || row.id, 200), make("small", { textContent: more, dir: "auto" }));
      li.setAttribute("role", "option");
      li.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
      li.addEventListener("click", () => take(number));
      return li;
    }

    function select(number) {
      chosen = number;
      all("li:not(.none)", list).forEach((li, i) => li.setAttribute("aria-selected", String(i === number)));
      if (number < 0) return field.removeAttribute("aria-activedescendant");
      field.setAttribute("aria-activedescendant", `${list.id}-${number}`);
      list.children[number].scrollIntoView({ block: "nearest" });
    }

    function take(number) {
      const row = found[number];
      fill([]);
      choose(row);
    }

    async function look() {
      asking?.abort();
      asking = new AbortController();
      const text = field.value.trim();
      if (!text) return fill([]);
      try {
        const answer = await fetch(address(text), { headers: { Accept: "application/json" }, signal: asking.signal });
        if (!answer.ok) throw new Error(`The desk answered ${answer.status} ${answer.statusText}.`);
        const { found: rows } = await answer.json();
        fill(rows, rows.length ? "" : "No essay has this in its title, URL or id.");
      } catch (error) {
        if (error.name !== "AbortError") fill([], error.message === "Failed to fetch" ? "The desk does not answer." : error.message);
      }
    }

    field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, WAIT_MS); });
    field.addEventListener("blur", () => { list.hidden = true; field.setAttribute("aria-expanded", "false"); });
    field.addEventListener("focus", () => { list.hidden = !list.children.length; field.setAttribute("aria-expanded", String(!list.hidden)); });
    field.addEventListener("keydown", (event) => {
      if (event.isComposing || list.hidden) return;
      if (event.key === "ArrowDown" && found.length) select((chosen + 1) % found.length);
      else if (event.key === "ArrowUp" && found.length) select(chosen > 0 ? chosen - 1 : found.length - 1);
      else if (event.key === "Enter" && found.length && (chosen >= 0 || field.form.id === "map-search")) take(Math.max(chosen, 0));
      else if (event.key === "Escape") fill([]);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    field.setAttribute("aria-expanded", "false");
  }

  function prepareWhyNot() {
    const field = find("#why-not");
    if (!field) return;
    const address = (text) => `${field.dataset.search}?${new URLSearchParams({ q: text, source: field.dataset.source })}`;
    suggest(field, address, async (row) => {
      const wanted = new URL(location.href);
      wanted.searchParams.set("q", row.id);
      try {
        const { page, address: from } = await load(wanted);
        show(page, from, field.form);
        focusRow(all(".found .row", main()).find((there) => there.dataset.id === row.id) ?? find(".found .row", main()));
      } catch (error) {
        talk("This could not be looked up", error.message, [["", "Close", "main"]]);
      }
    });
  }

  // ---- Dragging

  function prepareDragging() {
    for (const handle of all("[data-sortable] > .row > .place > .position", main())) {
      if (!formOf(handle.closest(".row"), "pin")) continue;
      handle.title = "Drag to pin it elsewhere";
      handle.addEventListener("pointerdown", startDragging);
    }
  }

  function startDragging(event) {
    if (event.button) return;
    event.preventDefault();
    const handle = event.currentTarget, row = handle.closest(".row"), list = row.parentElement;
    const others = () => [...list.children].filter((other) => other !== row);
    let position = null;
    handle.setPointerCapture(event.pointerId);
    row.classList.add("dragged");

    const clear = () => { for (const other of list.children) other.classList.remove("before", "after"); };
    const over = ({ clientY }) => {
      clear();
      const there = others();
      const index = there.filter((other) => { const box = other.getBoundingClientRect(); return clientY > box.top + box.height / 2; }).length;
      position = index + 1;
      if (there.length) (there[index] ?? there.at(-1)).classList.add(index < there.length ? "before" : "after");
    };
    const end = (event) => {
      handle.removeEventListener("pointermove", over);
      for (const kind of ["pointerup", "pointercancel"]) handle.removeEventListener(kind, end);
      removeEventListener("keydown", cancel, true);
      clear();
      row.classList.remove("dragged");
      if (event.type === "pointerup" && position !== null && position !== Number(row.dataset.position)) {
        focusRow(row, false);
        pinAt(row, position);
      }
    };
    const cancel = (event) => { if (event.key === "Escape") end(event); };
    handle.addEventListener("pointermove", over);
    for (const kind of ["pointerup", "pointercancel"]) handle.addEventListener(kind, end);
    addEventListener("keydown", cancel, true);
  }

  // ---- Forms

  const isDecision = (form) => ["/desk/decisions", "/desk/undo"].includes(form.getAttribute("action")) && form.method === "post" && main().contains(form) && !form.closest(".stop");

  addEventListener("submit", async (event) => {
    const form = event.target, button = event.submitter;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) return event.preventDefault(); // a double click
    if (!isDecision(form)) {
      form.dataset.sent = "yes";
      addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
      return;
    }
    event.preventDefault();
    if (isEverywhere(form)) {
      const name = form.closest(".row")?.querySelector("h3")?.textContent.trim() ?? "This";
      const sure = await talk("Exclude it from every list of the site?", cut(name, 200), [["", "Cancel"], ["yes", "Exclude everywhere", "danger"]]);
      if (sure !== "yes") return;
    }
    send(form, button);
  });

  // The second half of a double click may come when the list has moved up already: it would decide about the next row.
  let clicked = -Infinity;
  addEventListener("click", (event) => {
    const button = event.detail && event.target.closest('#main form[method="post"] button');
    if (!button) return;
    if (event.detail > 1 || event.timeStamp - clicked < DOUBLE_MS) event.preventDefault();
    else clicked = event.timeStamp;
  }, true);

  const isEverywhere = (form) => find('[data-act="exclude-everywhere"]', form) || (form.elements.everywhere?.checked && form.elements.action.value === "exclude");

  addEventListener("change", (event) => {
    const form = event.target.form;
    if (!form?.closest(".noted") || !form.elements.position) return;
    const action = form.elements.action.value, position = form.elements.position;
    position.required = action === "pin";
    if (action === "pin" && !position.value) position.value = form.closest(".row").dataset.position ?? 1;
    if (action !== "pin") position.value = "";
    form.elements.everywhere.disabled = ["pin", "approve"].includes(action);
  });

  // ---- Keys

  const KEYS = {
    j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
    h: () => cross("curated"), l: () => cross("suggestions"), ArrowLeft: () => cross("curated"), ArrowRight: () => cross("suggestions"),
    a: () => decide("approve"), x: () => decide("exclude"), X: () => decide("exclude-everywhere"),
    b: () => decide("boost"), v: () => decide("bury"), p: askPosition,
    J: () => move(1), K: () => move(-1), u: undo, w: () => unfold("why"), c: () => unfold("noted"),
    "?": () => find("#keys")?.showModal(),
  };
  const ON_ROWS = "j k h l ArrowDown ArrowUp ArrowLeft ArrowRight".split(" ");

  const isTyping = (element) => Boolean(element?.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]"));
  const hasKeysOfItsOwn = (element) => Boolean(element?.closest?.("canvas, .scroll, [role=listbox], input"));

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || find("dialog[open]")) return;
    const at = event.target;
    if (isTyping(at)) {
      if (event.key === "Escape") (at.closest(".row") ?? main()).focus({ preventScroll: true });
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    if (event.altKey) {
      if (["ArrowDown", "ArrowUp"].includes(event.key) && current()) { event.preventDefault(); move(event.key === "ArrowDown" ? 1 : -1); }
      return;
    }
    if (pinning) return answerPosition(event);
    ask("");
    act(event, at);
  });

  function act(event, at) {
    if (event.key === "Enter" && at.matches(".row, .job")) return find("h2 a, h3 a", at)?.click();
    if (event.key.startsWith("Arrow") && hasKeysOfItsOwn(at)) return;
    if (ON_ROWS.includes(event.key) && !rows().length) return;
    if (event.repeat && !ON_ROWS.includes(event.key)) return;
    const place = all("[data-key]").find((element) => element.dataset.key === event.key && isShown(element) && event.key !== "u");
    if (!place && !Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    if (!place) KEYS[event.key]();
    else if (place.matches("button, a")) sending.then(() => place.click());
    else { place.focus(); place.select?.(); }
  }

  addEventListener("pointerdown", () => { pinning = null; ask(""); });
  addEventListener("click", (event) => { if (event.target.closest("[data-keys]")) find("#keys")?.showModal(); });

  // ---- At the start, and after every answer

  function settle() {
    prepareWhyNot();
    prepareDragging();
  }

  function cleanAddress() {
    const address = new URL(location.href);
    if (!address.searchParams.has("done")) return;
    address.searchParams.delete("done");
    history.replaceState(history.state, "", address);
  }

  for (const element of all("[data-script]")) element.hidden = false;
  settle();
  cleanAddress();
  window.desk = { make, suggest };
})();
