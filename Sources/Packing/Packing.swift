// The builder's side of releases: file system image, hash tree, frames, unified kernel images, signing.
