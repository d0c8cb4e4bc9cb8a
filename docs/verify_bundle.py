#!/usr/bin/env python3
"""Verify a Propty bundle offline: python3 verify_bundle.py [--key VKEY] [--checkpoints FILE] FILE

Needs Python 3.8 or newer and nothing else. Exit 0: the bundle is sound. Exit 1: it is not, and the line and reason are printed.
Give the log's key, known from elsewhere, with --key; without it the bundle only proves that it was signed by the key inside it.
With --checkpoints FILE, one JSON object with a "checkpoint" per line as kept from elsewhere, the bundle must be of the same log and
reach at least as far: without, it may have been made from an older checkpoint, and "until" says how old.
The format is explained in docs/audit.md. `--self-test` checks this program's Ed25519 against the vectors of RFC 8032.
"""
import base64
import hashlib
import json
import re
import sys
import uuid


def sha256(data):
    return hashlib.sha256(data).digest()


# Ed25519 verification, after RFC 8032, section 6.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    x, y = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = y - x, z - t, z + t, y + x
    return (e * f, g * h, f * g, e * h)


def times(scalar, point):
    out = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            out = add(out, point)
        point = add(point, point)
        scalar >>= 1
    return out


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(public, text, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    key, nonce, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % L
    left, right = times(s, BASE), add(nonce, times(h, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


def unbase64(text):
    try:
        return base64.b64decode(text, validate=True)
    except Exception:
        raise Wrong("%r is no base64" % text)


# Signed notes and checkpoints: c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
def parse_key(text):
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    key = unbase64(encoded)
    need(name and len(key) == 33 and key[0] == 1, "the key is no Ed25519 key of a note")
    need(sha256(name.encode() + b"\n" + key)[:4].hex() == key_id, "the key does not have its id")
    return name, bytes.fromhex(key_id), key[1:]


def open_note(note, keys, what):
    """The note's text and those of the keys that have signed it; at least one, and none wrongly."""
    text, gap, lines = note.rpartition("\n\n")
    need(gap and lines.endswith("\n"), what + " is no signed note")
    text += "\n"
    signers = []
    for line in lines[:-1].split("\n"):
        found = re.fullmatch("\u2014 (\\S+) (\\S+)", line)
        need(found, what + " has a malformed signature")
        signature = unbase64(found.group(2))
        for key in keys:
            if (found.group(1), signature[:4]) == key[:2]:
                need(signed(key[2], text.encode(), signature[4:]), what + " has a wrong signature")
                signers.append(key)
    need(signers, what + " is signed by no key that is known")
    return text, signers


def append(roots, leaf):
    """RFC 6962: `roots` holds (height, hash) of the complete subtrees from left to right."""
    height = 0
    while roots and roots[-1][0] == height:
        leaf = sha256(b"\x01" + roots.pop()[1] + leaf)
        height += 1
    roots.append((height, leaf))


def root_of(roots):
    if not roots:
        return sha256(b"")
    out = roots[-1][1]
    for _, left in reversed(roots[:-1]):
        out = sha256(b"\x01" + left + out)
    return out


def commitments(value):
    if isinstance(value, dict):
        if "$sealed" in value:
            return [value["$sealed"]["commitment"]]
        return [one for inner in value.values() for one in commitments(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in commitments(inner)]
    return []


FIELDS = ("stream", "stream_id", "event_type", "event_version", "recorded_at")
HASHES = ("payload_sha256", "metadata_sha256")
ORDER = ("bundle", "checkpoint", "key", "document", "header", "event", "seal")


class Bundle:
    def __init__(self, pinned, known):
        self.known, self.undisclosed, self.unreferred, self.until = known, set(), {}, None
        self.pinned, self.about, self.note, self.keys = pinned, None, None, []
        self.checkpoint, self.roots, self.size = None, [], 0
        self.versions, self.awaited, self.events, self.stage = {}, {}, 0, 0
        self.counts = {"opened": 0, "erased": 0, "withheld": 0}
        self.hash, self.sealed = hashlib.sha256(), False

    def take(self, raw):
        need(not self.sealed, "something follows the seal")
        need(raw.endswith(b"\n"), "the line does not end")
        line = json.loads(raw)
        kind = line["type"]
        need(kind in ORDER, "a line of type %r is not known" % kind)
        need(ORDER.index(kind) >= self.stage, "%s comes too late" % kind)
        if kind in ("event", "seal") and ORDER.index(kind) > self.stage and self.stage < ORDER.index("event"):
            self.headed()
        self.stage = ORDER.index(kind)
        getattr(self, kind + "_line")(line)
        self.hash.update(raw)

    def bundle_line(self, line):
        need(self.about is None, "there are two beginnings")
        need(line["version"] == 1, "version %r of the format is not known" % line["version"])
        self.about = line
        self.streams = {(one["stream"], one["stream_id"]) for one in line["streams"]}
        need(("resident", line["resident"]) in self.streams, "the resident's own stream is not among the disclosed")

    def checkpoint_line(self, line):
        need(self.note is None, "there are two checkpoints")
        self.note = line["note"]

    def key_line(self, line):
        self.keys.append(parse_key(line["vkey"]))

    def document_line(self, line):
        need(sha256(line["text"].encode()).hex() == line["sha256"], "document %s does not have its hash" % line["name"])
        self.unreferred[line["sha256"]] = line["name"]

    def begin(self):
        need(self.about and self.note, "what comes before the headers is not whole")
        trusted = [self.pinned] if self.pinned else self.keys
        text, self.keys = open_note(self.note, trusted, "the checkpoint")
        named, size, root = parse_checkpoint(text)
        origin = self.about["origin"]
        need(named == origin and origin.split("/")[-1] == self.about["organization"], "the checkpoint is of another log")
        need(all(name == origin for name, _, _ in self.keys), "a key is of another log")
        self.checkpoint = (size, root)

    def header_line(self, line):
        if self.checkpoint is None:
            self.begin()
        position = self.size + 1
        need(line["position"] == position, "position %d is missing" % position)
        plain = all(re.fullmatch(r"[^\s/]+", line[name]) for name in FIELDS) and type(line["version"]) is int
        need(plain and all(re.fullmatch("[0-9a-f]{64}", line[name]) for name in HASHES), "position %d has a malformed header" % position)
        text = "propty-leaf-v1\n{organization}\n{stream}/{stream_id}\n{version}\n{event_type} v{event_version}\n{recorded_at}\n{payload_sha256}\n{metadata_sha256}\n"
        append(self.roots, sha256(b"\x00" + text.format(organization=self.about["organization"], **line).encode()))
        self.size, self.until = position, line["recorded_at"]
        for origin, size, root in self.known:
            if origin == self.about["origin"] and size == position:
                need(root == root_of(self.roots), "position %d: a checkpoint known from elsewhere has another root" % position)
        stream = (line["stream"], line["stream_id"])
        if stream in self.streams:
            version = self.versions.get(stream, 0) + 1
            need(line["version"] == version, "position %d has version %d, not %d" % (position, line["version"], version))
            self.versions[stream] = version
            self.awaited[position] = line
        elif stream[0] in ("sms-consent", "text"):
            self.undisclosed.add(stream)

    def headed(self):
        need(self.checkpoint, "there are no headers")
        size, root = self.checkpoint
        need(self.size == size, "the headers end at position %d, the checkpoint covers %d" % (self.size, size))
        need(root_of(self.roots) == root, "the headers of positions 1 to %d do not hash to the checkpoint's root" % size)
        for stream in sorted(self.streams):
            need(stream in self.versions, "the log has no stream %s/%s" % stream)
        consents = ("sms-consent", str(uuid.uuid5(uuid.UUID(self.about["resident"]), "sms-consent")))
        need(consents not in self.undisclosed, "the resident's consents, %s/%s, are not disclosed" % consents)

    def event_line(self, line):
        position = line["position"]
        header = self.awaited.pop(position, None)
        need(header, "position %s is not disclosed, or twice" % position)
        for name in ("payload", "metadata"):
            found = sha256(line[name].encode()).hex()
            need(found == header[name + "_sha256"], "position %d: the %s does not have the hash in its header" % (position, name))
        metadata = json.loads(line["metadata"])
        payload = json.loads(line["payload"])
        if header["event_type"] == "TextAuthorized":
            text = payload["TextAuthorized"]["text_id"]
            need(("text", text) not in self.undisclosed, "position %d lets text/%s be sent, which is not disclosed" % (position, text))
        for digest in [digest for digest in self.unreferred if digest in line["payload"]]:
            del self.unreferred[digest]
        held = commitments(payload) + commitments(metadata)
        # The client's address is sealed as a text within the metadata's text.
        if isinstance(metadata.get("client_address"), str):
            try:
                held += commitments(json.loads(metadata["client_address"]))
            except ValueError:
                pass
        told = [field["commitment"] for field in line["fields"]]
        need(sorted(held) == sorted(told), "position %d: its sealed fields are not the ones that are disclosed" % position)
        for field in line["fields"]:
            if field["state"] == "opened":
                salt = unbase64(field["salt"])
                found = base64.b64encode(sha256(salt + field["text"].encode())).decode()
                need(len(salt) == 16 and found == field["commitment"], "position %d: an opened field is not what was committed to" % position)
            self.counts[field["state"]] += 1
        self.events += 1

    def seal_line(self, line):
        for position, header in sorted(self.awaited.items()):
            raise Wrong("position %d, %s/%s/%d, is disclosed but has no event" % (position, header["stream"], header["stream_id"], header["version"]))
        for name in self.unreferred.values():
            raise Wrong("no disclosed event refers to the document %s" % name)
        for origin, size, _ in self.known:
            later = origin == self.about["origin"] and size > self.size
            need(not later, "the bundle ends at position %d, a checkpoint known from elsewhere covers %d" % (self.size, size))
        expected = "propty-bundle-v1\n%s\n%s\n" % (self.about["origin"], base64.b64encode(self.hash.digest()).decode())
        need(line["note"].rpartition("\n\n")[0] + "\n" == expected, "the seal is of another bundle: something was changed after it was sealed")
        open_note(line["note"], [self.pinned] if self.pinned else self.keys, "the seal")
        self.sealed = True


def parse_checkpoint(text):
    found = re.fullmatch("([^\n]+)\n(0|[1-9][0-9]*)\n([^\n]+)\n", text)
    need(found, "the text is no checkpoint")
    return found.group(1), int(found.group(2)), unbase64(found.group(3))


def checkpoints_of(path):
    with open(path, "rb") as file:
        notes = [json.loads(line)["checkpoint"] for line in file if line.strip()]
    return [parse_checkpoint(note.rpartition("\n\n")[0] + "\n") for note in notes]


def verify(path, pinned, known):
    bundle, number = Bundle(pinned, known), 0
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                bundle.take(raw)
        number += 1
        need(bundle.sealed, "the bundle ends before its seal")
    except Wrong as wrong:
        return "line %d: %s" % (number, wrong)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return "line %d: it cannot be read: %s: %s" % (number, type(error).__name__, error)
    print("sound: resident %s of organization %s" % (bundle.about["resident"], bundle.about["organization"]))
    print("%d events of %d streams, the whole of what %d logged events hold of them" % (bundle.events, len(bundle.streams), bundle.size))
    print("personal fields: %(opened)d opened, %(erased)d erased, %(withheld)d withheld" % bundle.counts)
    agrees = sum(origin == bundle.about["origin"] for origin, _, _ in known)
    print("until %s; agrees with %d checkpoints known from elsewhere" % (bundle.until, agrees))
    print("root " + bundle.checkpoint[1].hex())
    for name, key_id, key in bundle.keys:
        print("signed by %s+%s+%s" % (name, key_id.hex(), base64.b64encode(b"\x01" + key).decode()))
    if not pinned:
        print("compare the key with one that you know from elsewhere, or give that one with --key")
    return None


# RFC 8032, section 7.1: public key, message, signature.
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    ("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
]


def self_test():
    for public, message, signature in VECTORS:
        public, message, signature = map(bytes.fromhex, (public, message, signature))
        assert signed(public, message, signature)
        assert not signed(public, message + b"x", signature)
        assert not signed(public, message, bytes([signature[0] ^ 1]) + signature[1:])
        assert not signed(bytes([public[0] ^ 1]) + public[1:], message, signature)
        # The same signature with another s: malleable if s is not below the group's order.
        s = int.from_bytes(signature[32:], "little") + L
        assert not signed(public, message, signature[:32] + s.to_bytes(32, "little"))
    roots = []
    for leaf in (b"", b"\x00", b"\x10"):
        append(roots, sha256(b"\x00" + leaf))
    assert root_of(roots).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    print("the self-test has passed")


def main(arguments):
    if arguments == ["--self-test"]:
        self_test()
        return 0
    pinned, known = None, []
    while len(arguments) > 2 and arguments[0] in ("--key", "--checkpoints"):
        try:
            if arguments[0] == "--key":
                pinned = parse_key(arguments[1].strip())
            else:
                known += checkpoints_of(arguments[1])
        except (Wrong, ValueError, KeyError, TypeError) as wrong:
            print("not sound: %s: %s" % (arguments[0], wrong))
            return 1
        arguments = arguments[2:]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    wrong = verify(arguments[0], pinned, known)
    if wrong:
        print("not sound: " + wrong)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
