"""Words that differ, the nearest training sentence, and limits on text."""

from mivae_cli.data.token_store import TokenStore
from mivae_cli.reports.records import Changed
from mivae_cli.reports.texts import LONGEST, compared, nearest_sentence, passage, shortened


def changed(words: tuple[Changed, ...]) -> list[str]:
    return [each.word for each in words if each.changed]


def test_only_words_that_differ_are_changed() -> None:
    found = passage("1", "a man rides a horse", "a man feeds a brown horse")
    assert changed(found.words) == ["rides"]
    assert changed(found.beside) == ["feeds", "brown"]
    assert changed(compared("a b", "a b")) == []


def test_text_without_spaces_is_compared_by_characters() -> None:
    found = passage("1", "\u6211\u559c\u6b22\u732b", "\u6211\u559c\u6b22\u72d7")
    assert changed(found.words) == ["\u732b"]
    assert found.separator == ""


def test_a_text_beside_nothing_has_no_changes() -> None:
    assert changed(passage("A", "a man", "").words) == []


def test_the_nearest_sentence_shares_most_tokens_in_order() -> None:
    store = TokenStore.from_ids([[5, 6, 7, 8], [1, 2, 3, 4, 9], [4, 3, 2, 1], [1]])
    assert nearest_sentence([1, 2, 3, 4], store) == 1
    assert nearest_sentence([4, 3, 2, 1], store) == 2
    assert nearest_sentence([7], store) == 0
    assert nearest_sentence([], store) in range(4)


def test_long_text_is_cut_and_controls_are_replaced() -> None:
    assert len(shortened("x" * 1000)) == LONGEST
    assert shortened("a\x1b[1mb\u202ec\td") == "a\ufffd[1mb\ufffdc d"
