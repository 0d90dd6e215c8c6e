import Ports
import TestSupport
import Testing

struct USBDescriptorTests {
    private func fault(_ bytes: [UInt8]) -> USBDescriptorFault? {
        do throws(USBDescriptorFault) {
            _ = try USBDescriptors(parsing: bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test func readsEveryInterfaceWithAllClassesThatItMayComeToHave() throws {
        let stick = try USBDescriptors(parsing: Device.stick)
        #expect(stick.vendor == 0x1209 && stick.product == 1 && !stick.isHub)
        #expect(stick.interfaces.map(\.classes) == [[USBClass(code: 8, subclass: 6, protocolCode: 0x50)]])
        let camera = try USBDescriptors(parsing: Device.camera)
        #expect(camera.interfaces.map(\.number) == [0, 1, 2])
        #expect(camera.interfaces[2].classes == [USBClass(code: 3, subclass: 0, protocolCode: 0)])
        let hub = try USBDescriptors(parsing: Device.hub)
        #expect(hub.isHub && hub.interfaces[0].classes.count == 2)
        #expect(try USBDescriptors(parsing: Device.keyboard).interfaces[0].classes.first?.description == "03:01:01")
    }

    /// Another setting of an interface may have another class: a disk that turns into a keyboard by `SET_INTERFACE`.
    @Test func classOfALaterSettingCounts() throws {
        let bytes =
            Device.head()
            + Device.configuration(
                interfaces: 1, Device.interface(0, (8, 6, 0x50)) + Device.interface(0, setting: 1, (3, 1, 1)))
        #expect(try USBDescriptors(parsing: bytes).interfaces[0].classes.map(\.code).sorted() == [3, 8])
    }

    @Test func hubWithAnotherInterfaceIsNoHub() throws {
        let bytes =
            Device.head(classes: (9, 0, 1))
            + Device.configuration(interfaces: 2, Device.interface(0, (9, 0, 0)) + Device.interface(1, (3, 1, 1)))
        #expect(try !USBDescriptors(parsing: bytes).isHub)
        #expect(try !USBDescriptors(parsing: Device.head(classes: (9, 0, 1), configurations: 0)).isHub)
    }

    @Test func endlessOversizedAndTruncatedDescriptorsAreRefused() {
        #expect(fault([]) == .truncated(at: 0))
        #expect(fault(Device.head() + [0, 2]) == .unexpected(at: 18), "a descriptor of no length would never end")
        #expect(fault(Device.head() + [1, 2, 3]) == .unexpected(at: 18))
        #expect(fault(Device.stick + [200, 5]) == .truncated(at: Device.stick.count))
        #expect(fault(Device.stick + [7]) == .truncated(at: Device.stick.count))
        let endless = Device.stick + [UInt8](repeating: 2, count: USBDescriptors.byteLimit)
        #expect(fault(endless) == .oversized(bytes: endless.count))
        for length in 0..<Device.camera.count {
            #expect(fault(Array(Device.camera.prefix(length))) != nil, "cut at \(length)")
        }
    }

    @Test func countsThatDifferAndNumbersThatRepeatAreRefused() {
        let storage = Device.interface(0, (8, 6, 0x50), endpoints: 2)
        #expect(
            fault(Device.head(configurations: 2) + Device.configuration(interfaces: 1, storage))
                == .countDiffers(what: "configurations"))
        #expect(
            fault(Device.head() + Device.configuration(interfaces: 2, storage)) == .countDiffers(what: "interfaces"))
        #expect(
            fault(Device.head() + Device.configuration(interfaces: 0, storage)) == .countDiffers(what: "interfaces"))
        let twice = Device.head() + Device.configuration(interfaces: 1, storage + storage)
        #expect(fault(twice) == .repeated(at: 18 + 9 + storage.count))
        let hidden = Device.head() + Device.configuration(interfaces: 1, Device.interface(0, setting: 1, (3, 1, 1)))
        #expect(fault(hidden) == .countDiffers(what: "settings"))
        let fewer = Device.head() + Device.configuration(interfaces: 1, Array(storage.dropLast(7)))
        #expect(fault(fewer) == .countDiffers(what: "endpoints"))
        let same = Device.configuration(interfaces: 1, storage)
        #expect(fault(Device.head(configurations: 2) + same + same) == .repeated(at: 0))
        #expect(fault(Device.stick + Device.head()) == .unexpected(at: Device.stick.count), "a second device")
        let many = (0..<33).flatMap { Device.interface($0, (3, 1, 1)) }
        #expect(fault(Device.head() + Device.configuration(interfaces: 33, many)) == .tooMany(what: "interfaces"))
    }

    /// Whatever a device says, it is read or refused; what is read announces no interface that the bytes do not have.
    @Test func bytesOfChanceNeverDoMoreThanBeRefused() {
        var generator = SeededGenerator(seed: 20_261_124)
        var (read, refused) = (0, 0)
        for round in 0..<20_000 {
            var bytes = Device.all[round % Device.all.count]
            for _ in 0...Int.random(in: 0...3, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = .random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(.random(in: 0...9, using: &generator), at: place)
                default: bytes.replaceSubrange(place..., with: Device.all.randomElement(using: &generator) ?? [])
                }
                if bytes.isEmpty { bytes = [18] }
            }
            guard let parsed = try? USBDescriptors(parsing: bytes) else {
                refused += 1
                continue
            }
            read += 1
            let announced = zip(bytes, bytes.dropFirst()).count { $0 == 9 && $1 == 4 }
            #expect(parsed.interfaces.count <= announced)
        }
        #expect(read > 200 && refused > 2000, "\(read) read, \(refused) refused")
    }
}
