/// Letters five rows high out of ordinary characters, so that a code can be read from a screen across the room and
/// from any serial console.
public enum BigText {
    /// Five lines that show the text; characters other than the challenge code's are left out.
    public static func render(_ text: String) -> [String] {
        let glyphs = text.uppercased().compactMap { font[$0] }
        return (0..<5).map { row in
            let cells = glyphs.map { String($0[row].map { $0 == "#" ? "#" : " " }) }
            var line = cells.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }

    /// Crockford's base 32 and the dash: rows parted by blanks, dots are blanks of the letter.
    private static let font: [Character: [String]] = [
        "0": ".###. #..## #.#.# ##..# .###.", "1": "..#.. .##.. ..#.. ..#.. .###.",
        "2": "####. ....# .###. #.... #####", "3": "####. ....# .###. ....# ####.",
        "4": "#..#. #..#. ##### ...#. ...#.", "5": "##### #.... ####. ....# ####.",
        "6": ".###. #.... ####. #...# .###.", "7": "##### ....# ...#. ..#.. ..#..",
        "8": ".###. #...# .###. #...# .###.", "9": ".###. #...# .#### ....# .###.",
        "A": ".###. #...# ##### #...# #...#", "B": "####. #...# ####. #...# ####.",
        "C": ".#### #.... #.... #.... .####", "D": "####. #...# #...# #...# ####.",
        "E": "##### #.... ###.. #.... #####", "F": "##### #.... ###.. #.... #....",
        "G": ".#### #.... #..## #...# .####", "H": "#...# #...# ##### #...# #...#",
        "J": "..### ...#. ...#. #..#. .##..", "K": "#...# #..#. ###.. #..#. #...#",
        "M": "#...# ##.## #.#.# #...# #...#", "N": "#...# ##..# #.#.# #..## #...#",
        "P": "####. #...# ####. #.... #....", "Q": ".###. #...# #.#.# #..#. .##.#",
        "R": "####. #...# ####. #..#. #...#", "S": ".#### #.... .###. ....# ####.",
        "T": "##### ..#.. ..#.. ..#.. ..#..", "V": "#...# #...# #...# .#.#. ..#..",
        "W": "#...# #...# #.#.# ##.## #...#", "X": "#...# .#.#. ..#.. .#.#. #...#",
        "Y": "#...# .#.#. ..#.. ..#.. ..#..", "Z": "##### ...#. ..#.. .#... #####",
        "-": "..... ..... .###. ..... .....",
    ].mapValues { $0.split(separator: " ").map(String.init) }
}
