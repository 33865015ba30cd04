import codecs

import pytest

from conflict_ner.errors import InputError, decode_utf8


def test_a_byte_order_mark_is_left_out():
    assert decode_utf8(codecs.BOM_UTF8 + "Ségou".encode(), "a.txt") == "Ségou"


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_the_first_byte_that_is_not_utf8_is_named_with_its_line(mark):
    with pytest.raises(InputError, match=r"^a.txt:3: byte 0xff is not UTF-8"):
        decode_utf8(mark + b"a\nb\n\xffxx", "a.txt")
