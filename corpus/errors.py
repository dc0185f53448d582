"""Every expected failure of the project, on one screen.

    RelatedArticlesError          what the command line prints in one line, with a way out
    ├── SourceNotFound            a path that was asked for does not exist
    ├── SettingsError             settings that cannot be used; lists all mistakes at once
    ├── EncoderError              a model that is missing, damaged or not what it claims to be
    ├── CacheError                the vector cache that cannot be read or written
    ├── ShapeMismatch             an array of the wrong shape, dtype or fingerprint
    ├── IndexRefused              an index that finds too little, or a file that holds none that can be used
    ├── EditionError              an edition that is missing, half-written or damaged
    │   ├── NoEdition             nothing has been published yet
    │   └── StoreAway             the database that holds the editions does not answer
    ├── EngineError               a step of the build that cannot run or end where it was sent
    ├── BuildInProgress           another build is writing to the same home
    ├── UnknownEssay              an id or URL that the edition does not know
    ├── DecisionRefused           an editor's decision that makes no sense
    ├── DecisionLogError          the log of decisions cannot be read or written
    ├── KeyRefused                a request that needs an API key and has no right one
    ├── NotSignedIn               a request to the editors' desk from somebody not known
    ├── Forbidden                 a request to the editors' desk that its sender may not make
    ├── NotJson                   a request whose body is not declared as JSON
    ├── DraftsOff                 a draft sent to a service that answers none
    ├── DraftsBusy                a draft that the model could not answer in time
    └── DeskBusy                  a question from the desk that could not be answered in time

A bad *page* is no exception: it becomes a PageProblem (corpus/essay.py) and the build goes on.
"""


class RelatedArticlesError(Exception):
    """An expected failure; its message is one sentence for a person, ending in what to do."""


class SourceNotFound(RelatedArticlesError):
    """A source that was named does not exist."""


class SettingsError(RelatedArticlesError):
    """Settings that cannot be used; the message lists every mistake found."""


class EncoderError(RelatedArticlesError):
    """A model that is missing, damaged, or whose weights are not the expected ones."""


class CacheError(RelatedArticlesError):
    """The vector cache cannot be read or written."""


class ShapeMismatch(RelatedArticlesError):
    """An array of the wrong shape, dtype or fingerprint; the message gives both sides."""


class IndexRefused(RelatedArticlesError):
    """An index that finds too few of the exact neighbours, or a file of one that is damaged or of another make."""


class EditionError(RelatedArticlesError):
    """An edition that cannot be opened."""


class NoEdition(EditionError):
    """Nothing has been published in this home yet."""


class StoreAway(EditionError):
    """The database that holds editions and decisions cannot be used: it does not answer, or its URL makes no sense."""


class EngineError(RelatedArticlesError):
    """A step of the build that cannot run or end where it was sent: no workers, a part that none finishes, no Ray."""


class BuildInProgress(RelatedArticlesError):
    """Another process holds the build lock of this home."""


class UnknownEssay(RelatedArticlesError):
    """No essay of the edition has this id or URL."""


class DecisionRefused(RelatedArticlesError):
    """A decision that lacks something, or is about what does not exist."""


class DecisionLogError(RelatedArticlesError):
    """The log of decisions is damaged, of a newer version, or cannot be reached."""


class KeyRefused(RelatedArticlesError):
    """A request that needs an API key has none, or a wrong one. The message never holds it."""


class NotSignedIn(RelatedArticlesError):
    """A request to the desk from somebody not known. login: the path where to sign in, and come back from."""

    def __init__(self, sentence: str, login: str) -> None:
        super().__init__(sentence)
        self.login = login


class Forbidden(RelatedArticlesError):
    """A request to the desk that its sender may not make, or that another site has sent."""


class NotJson(RelatedArticlesError):
    """A request's body is of another media type than JSON."""


class DraftsOff(RelatedArticlesError):
    """The service was started without a model."""


class DraftsBusy(RelatedArticlesError):
    """Too many drafts are waiting, or this one has waited too long; asking again later may do."""


class DeskBusy(RelatedArticlesError):
    """Too many of the desk's questions are waiting, or this one has waited too long; asking again later may do."""
