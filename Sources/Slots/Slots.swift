// Writes, verifies and compares slots; the streaming pipeline; the boot record on disk.
