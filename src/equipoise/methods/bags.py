"""Texts as bags of words, for learners beside Keras: a row a text, a column an id, of the tf-idf weights of its words.

The weights are those of scikit-learn's `TfidfVectorizer` on the words that are read of a text, as `model.bag=tfidf` has
them in a network.
"""

from typing import TYPE_CHECKING

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats
from equipoise.data.words import WordPreprocessing
from equipoise.methods.text_models import idf

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_BYTES = 1 << 30  # of a bag that is held with its zeros


def bag(ids: Floats, words: WordPreprocessing) -> "csr_matrix":
    """Return the bags of texts: float32 (n, words.ids), rows of Euclidean length 1, or of 0 if no word is known.

    Parameters
    ----------
    ids : (n, length), 0 where a text has ended
    """
    from scipy.sparse import csr_matrix

    texts, length = ids.shape
    columns = np.asarray(ids).astype(np.int32).ravel()
    starts = np.arange(texts + 1, dtype=np.int64) * length
    found = csr_matrix((idf(words)[columns], columns, starts), shape=(texts, words.ids))
    found.sum_duplicates()  # the idf of a word, as often as the text has it
    found.eliminate_zeros()
    lengths = np.sqrt(np.add.reduceat(np.append(found.data**2, 0), found.indptr[:-1])) if texts else np.empty(0)
    held = np.diff(found.indptr)
    found.data /= np.repeat(lengths.astype(np.float32), held)
    return found


def check_size(name: str, texts: int, words: WordPreprocessing) -> None:
    """Refuse bags that are too large to be held with their zeros, for a model that takes no others.

    Raises
    ------
    ConfigError
        With the sizes and the cure.
    """
    size, most = 4 * texts * words.ids, MOST_BYTES // (4 * texts) - len(("padding", "unknown"))
    if size > MOST_BYTES:
        smaller = f"type dataset.vocabulary={most}, or " if most > 0 else ""
        raise ConfigError(
            f"model={name} holds the zeros of a bag of words, too: {texts:,} training texts of {words.ids:,} ids take "
            f"{size / (1 << 30):.1f} GiB, of 1 at most; {smaller}use model=logistic, which holds no zeros"
        )
