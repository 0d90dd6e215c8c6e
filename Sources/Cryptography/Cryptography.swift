// Hashes, signatures, certificate requests and certificates over OpenSSL; the only module that imports it.
