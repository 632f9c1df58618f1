"""RTP on the wire: headers, sequence numbers, telephone events, statistics (RFC 3550, 4733)."""
