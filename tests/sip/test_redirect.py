import pytest

from bridge.sip.message import Response
from bridge.sip.redirect import Contact, Redirects, contacts_of
from tests.sip.messages import reply, request


def moved(*contacts: str, status: int = 302) -> Response:
    extra = tuple(("Contact", contact) for contact in contacts)
    return reply(request("INVITE"), status, contact="", extra=extra)


def test_a_3xx_says_where_else_to_try() -> None:
    response = moved("<sip:a@192.0.2.5>;q=0.5, <sip:b@192.0.2.6>;q=0.75", "<tel:+4930>")

    assert contacts_of(response) == (
        Contact("sip:a@192.0.2.5", 0.5),
        Contact("sip:b@192.0.2.6", 0.75),
        Contact("tel:+4930", 1.0),
    )


@pytest.mark.parametrize("status", [305, 380, 486])
def test_other_answers_send_nobody_anywhere(status: int) -> None:
    assert contacts_of(moved("<sip:a@192.0.2.5>", status=status)) == ()


@pytest.mark.parametrize(
    "contact",
    ["*", "<sip:a@192.0.2.5>;expires=0", "<mailto:a@example.org>", "<sips:a@192.0.2.5>", '"', "<sip:>"],
)
def test_a_place_that_is_none_is_left_out(contact: str) -> None:
    assert contacts_of(moved(contact)) == ()


def test_a_weight_that_is_none_counts_as_the_usual_one() -> None:
    contacts = contacts_of(moved("<sip:a@192.0.2.5>;q=2", "<sip:b@192.0.2.5>;q", "<sip:c@192.0.2.5>;q=0.001"))

    assert [each.quality for each in contacts] == [1.0, 1.0, 0.001]


def test_the_best_place_is_tried_first_and_each_but_once() -> None:
    redirects = Redirects("sip:lena@192.0.2.2", limit=5)
    redirects.add([Contact("sip:a@192.0.2.5", 0.2), Contact("sip:b@192.0.2.5", 0.9)])
    assert redirects.take() == "sip:b@192.0.2.5"

    redirects.add(
        [
            Contact("sip:b@192.0.2.5:5060"),
            Contact("sip:LENA@192.0.2.2", 0.1),
            Contact("sip:lena@192.0.2.2"),
            Contact("sip:a@192.0.2.5"),
        ]
    )

    assert [redirects.take() for _ in range(3)] == ["sip:a@192.0.2.5", "sip:LENA@192.0.2.2", None]


def test_a_limit_is_a_limit() -> None:
    redirects = Redirects("sip:lena@192.0.2.2", limit=2)
    redirects.add(Contact(f"sip:{each}@192.0.2.5") for each in "abc")

    assert [redirects.take() for _ in range(3)] == ["sip:a@192.0.2.5", "sip:b@192.0.2.5", None]
    assert Redirects("sip:x@192.0.2.5", limit=0).take() is None
