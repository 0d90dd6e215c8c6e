// What a release is: signed metadata, manifest, frame table and hash tree, parsed and verified over bytes.
