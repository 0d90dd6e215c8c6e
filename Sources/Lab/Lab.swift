// Virtual machines, networks and faults: rehearsals of real scenarios on real firmware.
