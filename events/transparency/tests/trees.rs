//! Roots and proofs against known answers, against another implementation, and against forgery.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use transparency::{
    CompactRange, Hash, Node,
    hash::{self, hex},
    proof, range,
};

/// The leaves of the reference implementation's tests.
const INPUTS: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// All complete subtrees, as a reader of tiles would have them.
#[derive(Default)]
struct Tree {
    range: CompactRange,
    roots: Vec<Hash>,
    nodes: std::collections::HashMap<Node, Hash>,
}

impl Tree {
    fn of(inputs: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut tree = Self { roots: vec![hash::empty()], ..Self::default() };
        for input in inputs {
            let leaf = hash::leaf(&input);
            tree.nodes.insert(Node { height: 0, index: tree.range.size() }, leaf);
            tree.range.append(leaf, |node, hash| {
                tree.nodes.insert(node, *hash);
            });
            tree.roots.push(tree.range.root());
        }
        tree
    }

    fn numbered(size: u64) -> Self {
        Self::of((0..size).map(|number| number.to_be_bytes().to_vec()))
    }

    fn prove(&self, spans: Option<Vec<proof::Span>>) -> Vec<Hash> {
        let spans = spans.expect("a proof");
        spans.iter().map(|span| span.hash(|node| self.nodes.get(&node).copied()).expect("known nodes")).collect()
    }

    fn leaf(&self, index: u64) -> Hash {
        self.nodes[&Node { height: 0, index }]
    }

    fn root(&self, size: u64) -> Hash {
        self.roots[usize::try_from(size).expect("a small tree")]
    }
}

fn other(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|number| tree.push(number.to_be_bytes().to_vec()));
    tree
}

#[test]
fn roots_are_those_of_the_reference_implementation() {
    let tree = Tree::of(INPUTS.map(<[u8]>::to_vec));
    assert_eq!(hex(&tree.root(0)), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size, root) in (1..).zip(ROOTS) {
        assert_eq!(hex(&tree.root(size)), root, "{size}");
    }
}

#[test]
fn proofs_are_those_of_the_reference_implementation() {
    let tree = Tree::of(INPUTS.map(<[u8]>::to_vec));
    let shown = |proof: Vec<Hash>| proof.iter().map(|hash| hex(hash)).collect::<Vec<_>>();
    assert_eq!(
        shown(tree.prove(proof::inclusion(0, 8))),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        shown(tree.prove(proof::consistency(6, 8))),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn roots_and_proofs_are_those_of_another_implementation() {
    let size = 70;
    let ours = Tree::numbered(size);
    for to in 1..=size {
        let theirs = other(to);
        assert_eq!(theirs.root().as_bytes().as_slice(), ours.root(to), "{to}");
        for index in 0..to {
            let proof = ours.prove(proof::inclusion(index, to));
            let place = usize::try_from(index).expect("a small tree");
            assert_eq!(theirs.prove_inclusion(place).as_bytes(), proof.concat(), "{index} in {to}");
            assert!(proof::verify_inclusion(&ours.leaf(index), index, to, &proof, &ours.root(to)));
        }
        for from in 1..to {
            let proof = ours.prove(proof::consistency(from, to));
            let added = usize::try_from(to - from).expect("a small tree");
            assert_eq!(theirs.prove_consistency(added).as_bytes(), proof.concat(), "{from} to {to}");
            assert!(proof::verify_consistency(from, to, &proof, &ours.root(from), &ours.root(to)));
        }
    }
}

#[test]
fn a_range_is_found_again_from_its_subtrees() {
    let tree = Tree::numbered(300);
    for size in 0..=300 {
        let roots = range::nodes(0, size).into_iter().map(|node| tree.nodes[&node]).collect();
        let range = CompactRange::try_new(size, roots).expect("as many as there are bits");
        assert_eq!(range.root(), tree.root(size));
    }
    assert_eq!(CompactRange::try_new(3, vec![[0; 32]]), None);
}

#[test]
fn what_is_not_in_the_tree_has_no_proof() {
    assert_eq!(proof::inclusion(5, 5), None);
    assert_eq!(proof::inclusion(0, 0), None);
    assert_eq!(proof::consistency(6, 5), None);
}

#[test]
fn the_empty_tree_is_the_beginning_of_every_tree_and_only_it() {
    let tree = Tree::numbered(5);
    let root = tree.root(5);
    assert!(proof::verify_consistency(0, 5, &[], &hash::empty(), &root));
    assert!(!proof::verify_consistency(0, 5, &[], &root, &root));
    assert!(!proof::verify_consistency(0, 5, &[root], &hash::empty(), &root));
    assert!(proof::verify_consistency(5, 5, &[], &root, &root));
    assert!(!proof::verify_consistency(5, 5, &[], &tree.root(4), &root));
    assert!(!proof::verify_consistency(5, 4, &[], &root, &tree.root(4)));
}

proptest! {
    #[test]
    fn a_changed_inclusion_proof_proves_nothing(
        size in 1_u64..600, at in any::<prop::sample::Index>(), bit in 0_usize..256, which in any::<prop::sample::Index>(),
    ) {
        let tree = Tree::numbered(size);
        let index = u64::try_from(at.index(usize::try_from(size)?))?;
        let (leaf, root) = (tree.leaf(index), tree.root(size));
        let proof = tree.prove(proof::inclusion(index, size));
        prop_assert!(proof::verify_inclusion(&leaf, index, size, &proof, &root));
        let flipped = |hash: &Hash| {
            let mut hash = *hash;
            hash[bit / 8] ^= 1 << (bit % 8);
            hash
        };
        prop_assert!(!proof::verify_inclusion(&flipped(&leaf), index, size, &proof, &root));
        prop_assert!(!proof::verify_inclusion(&leaf, index, size, &proof, &flipped(&root)));
        prop_assert!(!proof::verify_inclusion(&leaf, size, size, &proof, &root));
        if !proof.is_empty() {
            let mut changed = proof.clone();
            let place = which.index(proof.len());
            changed[place] = flipped(&changed[place]);
            prop_assert!(!proof::verify_inclusion(&leaf, index, size, &changed, &root));
            prop_assert!(!proof::verify_inclusion(&leaf, index, size, &proof[1..], &root));
        }
        let longer: Vec<Hash> = proof.iter().copied().chain([root]).collect();
        prop_assert!(!proof::verify_inclusion(&leaf, index, size, &longer, &root));
    }

    #[test]
    fn a_tree_with_another_past_is_not_a_continuation(
        to in 2_u64..400, at in any::<prop::sample::Index>(), changed in any::<prop::sample::Index>(),
    ) {
        let from = 1 + u64::try_from(at.index(usize::try_from(to - 1)?))?;
        let altered = changed.index(usize::try_from(from)?);
        let honest = Tree::numbered(to);
        let forked = Tree::of((0..to).map(|number| {
            if usize::try_from(number) == Ok(altered) { b"forged".to_vec() } else { number.to_be_bytes().to_vec() }
        }));
        let (ours, theirs) = (honest.prove(proof::consistency(from, to)), forked.prove(proof::consistency(from, to)));
        prop_assert!(proof::verify_consistency(from, to, &ours, &honest.root(from), &honest.root(to)));
        prop_assert!(!proof::verify_consistency(from, to, &theirs, &honest.root(from), &forked.root(to)));
        prop_assert!(!proof::verify_consistency(from, to, &ours, &honest.root(from), &forked.root(to)));
    }
}
