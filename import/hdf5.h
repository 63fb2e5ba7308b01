/* hdf5: datasets of numbers in HDF5 files, as h5py and with it Keras write them. */
#ifndef RONDO_IMPORT_HDF5_H
#define RONDO_IMPORT_HDF5_H

#include "runtime/runtime.h"

/* Every dataset of floats or integers, f64, under its path without a leading slash ("layers/dense/vars/0"); others are skipped.
   Nothing of the file is trusted. False with a diagnostic (650). */
bool hdf5_read(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, Arrays *out);

#endif
