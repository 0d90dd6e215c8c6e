#pragma once
#include <efiboot.h>
#include <efivar.h>
