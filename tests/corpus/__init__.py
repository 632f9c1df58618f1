"""What the floor is measured with: speech that interrupts, and sounds that must not."""
