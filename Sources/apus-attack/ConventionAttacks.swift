import CAttack
import Glibc

extension Attack {
    static let abis = [
        Attack(
            "other-conventions",
            [
                // getpid of the i386 table.
                Attempt("i386") { Said(attack_call_i386(20, padded([]))) },
                Attempt("x32") { Said(attack_call(attack_number("getpid") | attack_x32, padded([]))) },
            ]),
        Attack(
            "personality",
            [
                // ADDR_NO_RANDOMIZE
                Attempt("personality") { Said(call("personality", 0x004_0000)) },
                Attempt("modify-ldt") {
                    // One writable segment of a page, as struct user_desc has it.
                    Said(call("modify_ldt", 1, words([0, 0, 1, 0x51]), 16))
                },
                Attempt("iopl") { Said(call("iopl", 3)) },
                Attempt("ioperm") { Said(call("ioperm", 0x70, 2, 1)) },
            ]),
        Attack(
            "socket-families",
            [
                ("alg", 38, 5, 0), ("packet", 17, 3, 0x0300), ("vsock", 40, 1, 0), ("key", 15, 3, 2),
                ("rxrpc", 33, 2, 2), ("netlink-route", 16, 3, 0), ("netlink-xfrm", 16, 3, 6),
                ("netlink-netfilter", 16, 3, 12), ("bluetooth", 31, 3, 1), ("can", 29, 3, 1), ("tipc", 30, 2, 0),
                ("xdp", 44, 3, 0),
            ].map { name, family, type, number in
                Attempt(name) { Said(call("socket", UInt64(family), UInt64(type), UInt64(number))) }
            } + [Attempt("high-bits") { Said(call("socket", 1 << 32 | 38, 5, 0)) }]),
    ]
}
