"""SIP as pure machines: messages, offers, transactions, dialogs (RFC 3261, 3264, 8866)."""
