//! A compact range: of a tree that grows to the right, the few subtree roots that its root is made of.

use crate::hash::{self, Hash};

/// A complete, aligned subtree: `2^height` leaves, the `index`-th of its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    pub height: u32,
    pub index: u64,
}

/// The complete subtrees that cover `[0, size)`, largest first; as many as `size` has bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: u64,
    roots: Vec<Hash>,
}

impl CompactRange {
    /// From the hashes of [`nodes`]; `None` when there are more or fewer.
    pub fn try_new(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (u32::try_from(roots.len()) == Ok(size.count_ones())).then_some(Self { size, roots })
    }

    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, and tells of each subtree that it completes.
    pub fn append(&mut self, leaf: Hash, mut completed: impl FnMut(Node, &Hash)) {
        let (mut hash, mut node) = (leaf, Node { height: 0, index: self.size });
        while node.index & 1 == 1 {
            // An odd index has its left neighbour on the stack.
            let Some(left) = self.roots.pop() else { break };
            hash = hash::node(&left, &hash);
            node = Node { height: node.height + 1, index: node.index >> 1 };
            completed(node, &hash);
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the tree of this size.
    pub fn root(&self) -> Hash {
        folded(&self.roots).unwrap_or_else(hash::empty)
    }
}

/// The complete subtrees that cover `[start, end)` from left to right, where `start` is a multiple of the largest of them.
pub fn nodes(start: u64, end: u64) -> Vec<Node> {
    let (mut nodes, mut at) = (Vec::new(), start);
    while at < end {
        let aligned = if at == 0 { u32::MAX } else { at.trailing_zeros() };
        let height = aligned.min((end - at).ilog2());
        nodes.push(Node { height, index: at >> height });
        at += 1 << height;
    }
    nodes
}

/// The root of neighbouring subtrees, smaller ones to the right.
pub(crate) fn folded(roots: &[Hash]) -> Option<Hash> {
    roots.iter().rev().copied().reduce(|right, left| hash::node(&left, &right))
}
