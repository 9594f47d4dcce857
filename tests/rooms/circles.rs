//! Circles in a graph of uses.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Use;

/// Returns each largest set of files that all reach each other, in order.
pub fn circles(uses: &BTreeSet<Use>) -> Vec<Vec<String>> {
    let mut targets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Use { from, to } in uses {
        targets.entry(from).or_default().push(to);
    }
    let reach: BTreeMap<_, _> = targets.keys().map(|file| (*file, reached(file, &targets))).collect();
    let mut found = BTreeSet::new();
    for (file, reached) in &reach {
        let circle = reached.iter().filter(|other| reach.get(*other).is_some_and(|back| back.contains(file)));
        let circle: Vec<_> = circle.map(|other| (*other).to_owned()).collect();
        found.extend((!circle.is_empty()).then_some(circle));
    }
    found.into_iter().collect()
}

/// Files that a file uses, directly or by others.
fn reached<'a>(file: &str, targets: &BTreeMap<&str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = vec![file];
    while let Some(file) = next.pop() {
        for target in targets.get(file).into_iter().flatten() {
            if seen.insert(*target) {
                next.push(target);
            }
        }
    }
    seen
}
