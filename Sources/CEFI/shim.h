#pragma once
#include <efivar/efiboot.h>
#include <efivar/efivar.h>
#include <stdlib.h>

// libefivar's device path builders take packed structures and unions that Swift does not import whole, so one function
// puts together what a boot entry of ours is: HD(GPT partition)/File(path), as a load option without optional data.
// Returns its size, or -1 where it does not fit. With size 0 it only measures.
//
// Nothing here touches variables: libefivar decides in a constructor, before main, whether efivarfs is mounted, and in
// PID 1 of an initramfs it never is. Sources/Firmware reads and writes efivarfs itself.
static inline ssize_t apus_make_load_option(
    uint8_t *buffer, ssize_t size, uint32_t attributes, uint32_t partition, uint64_t start, uint64_t length,
    const uint8_t uuid[16], const char *file, const char *description) {
    uint8_t path[4096];
    uint8_t signature[16];
    memcpy(signature, uuid, sizeof signature);
    ssize_t used = 0;
    ssize_t part = efidp_make_hd(
        path, sizeof path, partition, start, length, signature, EFIDP_HD_FORMAT_GPT, EFIDP_HD_SIGNATURE_GUID);
    if (part < 0) return -1;
    used += part;
    part = efidp_make_file(path + used, (ssize_t)sizeof path - used, (char *)file);
    if (part < 0) return -1;
    used += part;
    part = efidp_make_generic(
        path + used, (ssize_t)sizeof path - used, EFIDP_END_TYPE, EFIDP_END_ENTIRE, sizeof(efidp_header));
    if (part < 0) return -1;
    used += part;
    return efi_loadopt_create(
        buffer, size, attributes, (efidp)path, used, (unsigned char *)description, NULL, 0);
}
