"""Calls from browsers (WHIP) in the API's document; `bridge.app.webrtc` serves them by a door of its own."""

from pydantic import BaseModel, ConfigDict

from bridge.app.api.operation import Operation
from bridge.app.webrtc import PATH

__all__ = ["WHIP", "JoinToken"]

_ONE = PATH + "/calls/{secret}/{id}"


class JoinToken(BaseModel):
    """Opens one call of one page to one number."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    token: str
    to: str
    expires_in_s: int


WHIP: tuple[Operation, ...] = (
    Operation(
        "POST",
        PATH,
        "Call from a browser (WHIP)",
        None,
        takes="application/sdp",
        content_type="application/sdp",
        status=201,
        may_name=("to", "voice", "model"),
        problems=(400, 404, 410, 415, 422, 500, 503, 504),
        text="The offer of an RTCPeerConnection; the answer comes back; `Location` names the call (RFC 9725)."
        " Its last part is the call's `sip_call_id`. Takes the bridge's token, or a join token that leaves"
        " number, voice and model to whoever issued it. Pages of other origins need `webrtc.origins`.",
    ),
    Operation(
        "PATCH",
        _ONE,
        "Tell a candidate (trickle ICE)",
        None,
        takes="application/trickle-ice-sdpfrag",
        status=204,
        problems=(404, 415, 422),
        text="Taken and not needed: the bridge learns where a page is from its checks. ICE is not restarted.",
    ),
    Operation("DELETE", _ONE, "Hang up in the browser", None, problems=(404,), content_type="text/plain"),
    Operation(
        "POST",
        PATH + "/tokens",
        "Issue a join token",
        None,
        answer=JoinToken,
        status=201,
        may_name=("to",),
        problems=(400,),
        text="For a visitor's page: it opens one call to `to` within `webrtc.join_token_s`.",
    ),
)
