// The provisioning, boot, upgrade and repair sequences as lists of named steps, their runner, their effects.
