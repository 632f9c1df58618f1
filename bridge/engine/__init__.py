"""The media process around the plane: ports, system calls, clock, shared memory, and its supervisor."""
