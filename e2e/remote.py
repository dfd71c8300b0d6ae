"""Prometheus's remote write and remote read from the client's side: just enough protobuf, snappy and chunk decoding."""

import struct

import pyarrow



def pack(data):
    return pyarrow.compress(data, codec="snappy", asbytes=True)


def unpack(data):
    length, _ = take_varint(data, 0)
    return pyarrow.decompress(data, decompressed_size=length, codec="snappy", asbytes=True)


# Writing


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """A message or text; an integer; a float."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def zigzag(number):
    return (number << 1) ^ (number >> 63)


def doubles(values):
    return b"".join(struct.pack("<d", value) for value in values)


def histogram(at_ms, count, total, zero_count, positive, negative, zero_threshold=1e-3, schema=1, hint=0):
    """A float histogram; each side is ([(offset, length), ...], [count, ...])."""
    out = field(2, float(count)) + field(3, float(total)) + field(4, zigzag(schema)) + field(5, zero_threshold) + field(7, float(zero_count))
    for spans, counts, (side_spans, side_counts) in [(8, 10, negative), (11, 13, positive)]:
        for offset, length in side_spans:
            out += field(spans, field(1, zigzag(offset)) + field(2, length))
        out += field(counts, doubles(side_counts))
    return out + field(14, hint) + field(15, at_ms)


def series(labels, samples=(), histograms=()):
    """One series of a write request: samples are (milliseconds, value)."""
    pairs = [field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items())]
    points = [field(2, field(1, float(value)) + field(2, at)) for at, value in samples]
    return field(1, b"".join(pairs) + b"".join(points) + b"".join(field(4, found) for found in histograms))


def write(session, url, body):
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    response = session.post(url + "/api/v1/write", data=pack(body), headers=headers, timeout=60)
    assert response.status_code in (200, 204), response.text


SAMPLES, STREAMED_XOR_CHUNKS = 0, 1


def read_request(matchers, start_ms, end_ms, forms=()):
    """`matchers` are (type, name, value), the type 0 to 3 for =, !=, =~, !~."""
    query = field(1, start_ms) + field(2, end_ms)
    for kind, name, value in matchers:
        query += field(3, field(1, kind) + field(2, name.encode()) + field(3, value.encode()))
    return pack(field(1, query) + b"".join(field(2, form) for form in forms))


# Reading


def take_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = take_varint(data, at)
        if key & 7 == 0:
            value, at = take_varint(data, at)
        elif key & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            length, at = take_varint(data, at)
            value, at = data[at:at + length], at + length
        yield key >> 3, value


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def labels_of(message):
    pairs = []
    for number, value in fields(message):
        if number == 1:
            label = dict(fields(value))
            pairs.append((label.get(1, b"").decode(), label.get(2, b"").decode()))
    assert pairs == sorted(pairs), pairs
    return tuple(pairs)


def samples_of(body):
    """Of an answer in the form of samples: {labels: [(milliseconds, bits of the value)]}, and the number of histograms of each."""
    floats, histograms = {}, {}
    for _, result in fields(unpack(body)):
        for _, one in fields(result):
            labels = labels_of(one)
            points = [dict(fields(value)) for number, value in fields(one) if number == 2]
            zero = struct.pack("<d", 0.0)
            floats[labels] = [(signed(point.get(2, 0)), struct.unpack("<Q", point.get(1, zero))[0]) for point in points]
            histograms[labels] = sum(number == 4 for number, _ in fields(one))
    return floats, histograms


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def chunks_of(body):
    """Of an answer in streamed chunks: {labels: [(first ms, last ms, encoding, bytes)]}. Lengths and checksums are checked."""
    found, at, before = {}, 0, None
    while at < len(body):
        length, at = take_varint(body, at)
        checksum, frame = struct.unpack(">I", body[at:at + 4])[0], body[at + 4:at + 4 + length]
        at += 4 + length
        assert len(frame) == length and crc32c(frame) == checksum
        for number, one in fields(frame):
            if number != 1:
                continue
            labels = labels_of(one)
            assert before is None or before <= labels, "series come sorted, each in one run"
            before = labels
            for number, chunk in fields(one):
                if number == 2:
                    parts = dict(fields(chunk))
                    found.setdefault(labels, []).append((signed(parts.get(1, 0)), signed(parts.get(2, 0)), parts[3], parts[4]))
    return found


class Bits:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        value = 0
        for _ in range(count):
            value = value << 1 | self.data[self.at >> 3] >> 7 - (self.at & 7) & 1
            self.at += 1
        return value

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(8)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value


def xor_samples(chunk):
    """Decodes an XOR chunk: [(milliseconds, bits of the value)]."""
    bits, out = Bits(chunk), []
    count = bits.take(16)
    at = step = value = leading = trailing = 0
    for index in range(count):
        if index == 0:
            folded = bits.varint()
            at, value = (folded >> 1) ^ -(folded & 1), bits.take(64)
        else:
            if index == 1:
                step = bits.varint()
            else:
                size = next((size for size in (0, 14, 17, 20) if not bits.take(1)), 64)
                change = bits.take(size)
                if size == 64:
                    change = signed(change)
                elif change > 1 << size >> 1:
                    change -= 1 << size
                step += change
            at += step
            if bits.take(1):
                if bits.take(1):
                    leading = bits.take(5)
                    trailing = 64 - leading - (bits.take(6) or 64)
                value ^= bits.take(64 - leading - trailing) << trailing
        out.append((at, value))
    return out
