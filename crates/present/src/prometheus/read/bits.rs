/// Bits one after the other, the highest of each byte first.
#[derive(Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Of the last byte; 0 when it is full.
    free: u32,
}

/// Leading and trailing zeros of the last difference that was written in full; none before the first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct XorWindow(Option<(u32, u32)>);

impl Bits {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), free: 0 }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// The lowest `count` bits of `value`.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let piece = (value >> (left - taken)) & ((1 << taken) - 1);
            let last = self.bytes.len() - 1;
            self.bytes[last] |= (piece as u8) << (self.free - taken);
            self.free -= taken;
            left -= taken;
        }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.put(u64::from(byte), 8);
    }

    pub(super) fn float(&mut self, value: f64) {
        self.put(value.to_bits(), 64);
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// The same of a number with its sign folded into the lowest bit.
    pub(super) fn varint(&mut self, value: i64) {
        self.uvarint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// Ones and a zero that say how many bits follow, and these: few for small numbers.
    pub(super) fn varbit_int(&mut self, value: i64) {
        match SIZES.iter().position(|&bits| fits(value, bits)) {
            _ if value == 0 => self.put(0, 1),
            Some(class) => self.class(class, value.cast_unsigned()),
            None => self.unclassed(value.cast_unsigned()),
        }
    }

    pub(super) fn varbit_uint(&mut self, value: u64) {
        match SIZES.iter().position(|&bits| value >> bits == 0) {
            _ if value == 0 => self.put(0, 1),
            Some(class) => self.class(class, value),
            None => self.unclassed(value),
        }
    }

    fn class(&mut self, class: usize, value: u64) {
        let ones = class as u32 + 1;
        self.put((1 << (ones + 1)) - 2, ones + 1);
        self.put(value, SIZES[class]);
    }

    fn unclassed(&mut self, value: u64) {
        self.put(0xff, 8);
        self.put(value, 64);
    }

    /// A float as its difference from the one before.
    pub(super) fn xor(&mut self, value: f64, before: f64, window: &mut XorWindow) {
        let difference = value.to_bits() ^ before.to_bits();
        if difference == 0 {
            return self.put(0, 1);
        }
        // Five bits hold the leading zeros.
        let (leading, trailing) = (difference.leading_zeros().min(31), difference.trailing_zeros());
        match window.0 {
            Some((known_leading, known_trailing)) if leading >= known_leading && trailing >= known_trailing => {
                self.put(0b10, 2);
                self.put(difference >> known_trailing, 64 - known_leading - known_trailing);
            }
            _ => {
                window.0 = Some((leading, trailing));
                let significant = 64 - leading - trailing;
                self.put(0b11, 2);
                self.put(u64::from(leading), 5);
                // Six bits: 64 is written as 0, which it never is otherwise.
                self.put(u64::from(significant), 6);
                self.put(difference >> trailing, significant);
            }
        }
    }
}

const SIZES: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

/// Whether the number lies within what so many bits hold here: one more above zero than below.
pub(super) fn fits(value: i64, bits: u32) -> bool {
    let half = 1i64 << (bits - 1);
    -(half - 1) <= value && value <= half
}
