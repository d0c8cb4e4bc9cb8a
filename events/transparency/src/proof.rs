//! Proofs that an event is in a tree, and that a tree continues an earlier one (RFC 6962 section 2.1, RFC 9162 section 2.1).

use crate::{
    hash::{self, Hash},
    range::{self, Node},
};

/// Neighbouring leaves whose common hash a proof needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// The complete subtrees that it is made of.
    pub fn nodes(&self) -> Vec<Node> {
        range::nodes(self.start, self.end)
    }

    /// Its hash from theirs.
    pub fn hash(&self, known: impl Fn(Node) -> Option<Hash>) -> Option<Hash> {
        let roots: Option<Vec<Hash>> = self.nodes().into_iter().map(known).collect();
        range::folded(&roots?)
    }
}

/// What proves that the leaf with this index is in the tree of this size; `None` if it is not.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Span>> {
    if index >= size {
        return None;
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(Span { start: middle, end });
            end = middle;
        } else {
            proof.push(Span { start, end: middle });
            start = middle;
        }
    }
    proof.reverse();
    Some(proof)
}

/// What proves that the tree of size `to` begins with the tree of size `from`; `None` if it is smaller.
pub fn consistency(from: u64, to: u64) -> Option<Vec<Span>> {
    if from > to {
        return None;
    }
    let mut proof = Vec::new();
    if from == 0 || from == to {
        return Some(proof);
    }
    let (mut start, mut end, mut known) = (0, to, true);
    while end != from {
        let middle = start + split(end - start);
        if from <= middle {
            proof.push(Span { start: middle, end });
            end = middle;
        } else {
            proof.push(Span { start, end: middle });
            start = middle;
            known = false;
        }
    }
    // The verifier has the old root; any other subtree has to be told.
    if !known {
        proof.push(Span { start, end });
    }
    proof.reverse();
    Some(proof)
}

/// The largest power of two below a size of at least two.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// Whether the leaf has this index in the tree of this size and root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = hash::node(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            hash = hash::node(&hash, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether the tree of size `to` begins with that of size `from`.
pub fn verify_consistency(from: u64, to: u64, proof: &[Hash], old: &Hash, new: &Hash) -> bool {
    if from > to || (from == 0 && *old != hash::empty()) {
        return false;
    }
    if from == 0 || from == to {
        return proof.is_empty() && (from == 0 || old == new);
    }
    let mut path = proof.iter();
    let (mut place, mut last) = (from - 1, to - 1);
    while place & 1 == 1 {
        (place, last) = (place >> 1, last >> 1);
    }
    let first = if from.is_power_of_two() { Some(old) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut before, mut after) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            before = hash::node(sibling, &before);
            after = hash::node(sibling, &after);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            after = hash::node(&after, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && before == *old && after == *new
}
