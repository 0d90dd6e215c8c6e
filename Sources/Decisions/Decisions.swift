// The pure planners and state machines: from a snapshot to an immutable plan, without effects.
