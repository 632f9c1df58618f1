"""One call: what an agent says, hears and knows."""
