// HTTPS over libcurl: bounded, resumable, cancellable; the only module that imports it.
