internal import Contract
public import Linux

extension StoredImage {
    /// The device through which this image is read, once its two files are block devices: corruption makes reading fail,
    /// and with it the workload, but not the node.
    ///
    /// - Parameters:
    ///   - name: the device's name below `/dev/mapper`.
    ///   - dataDevice: the loop device of `root.erofs`.
    ///   - treeDevice: the loop device of `root.verity`.
    public func verity(named name: String, dataDevice: String, treeDevice: String) -> DeviceMapper.Verity {
        DeviceMapper.Verity(
            name: name, dataDevice: dataDevice, treeDevice: treeDevice, blocks: blocks, rootHash: rootHash.description,
            salt: salt, panicsOnCorruption: false)
    }
}
