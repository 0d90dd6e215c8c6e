// EFI variables and boot entries over libefivar and libefiboot; the only module that imports them.
