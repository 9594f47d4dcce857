//! Which file of src uses which, by the paths in their code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::tokens::{is_word, tokens};

/// A path of modules and an item, from the crate's root.
type Name = Vec<String>;

/// One module, which is one file.
#[derive(Debug, Default)]
struct Module {
    /// Path below src.
    file: String,
    /// Names that this module imports, and what they stand for.
    imports: BTreeMap<String, Name>,
    /// Names that it passes on.
    exports: BTreeMap<String, Name>,
    /// Paths in its code, as written.
    paths: Vec<Name>,
    /// All words of its code but those in `use`.
    words: BTreeSet<String>,
}

/// All modules of the library and of the programs.
#[derive(Debug, Default)]
pub struct House {
    modules: BTreeMap<Name, Module>,
}

/// A file uses an item of another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    pub from: String,
    pub to: String,
}

impl House {
    /// Reads every file that the library, or a program in src/bin, declares.
    pub fn read(src: &Path) -> Self {
        let mut house = Self::default();
        house.add(src, &Vec::new(), "lib.rs".into());
        for entry in fs::read_dir(src.join("bin")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            house.add(src, &vec!["bin".into(), name.trim_end_matches(".rs").into()], format!("bin/{name}"));
        }
        house
    }

    pub fn files(&self) -> BTreeSet<String> {
        self.modules.values().map(|module| module.file.clone()).collect()
    }

    fn add(&mut self, src: &Path, name: &Name, file: String) {
        let code = tokens(&fs::read_to_string(src.join(&file)).unwrap());
        let (module, children) = Module::parse(name, file, &code);
        self.modules.insert(name.clone(), module);
        for child in children {
            let child: Name = name.iter().cloned().chain([child]).collect();
            let folder = child.join("/");
            let file = if src.join(&folder).is_dir() { format!("{folder}/mod.rs") } else { format!("{folder}.rs") };
            self.add(src, &child, file);
        }
    }

    /// Every use of one file by another.
    pub fn uses(&self) -> BTreeSet<Use> {
        let mut uses = BTreeSet::new();
        for (name, module) in &self.modules {
            let by_paths = module.paths.iter().filter_map(|path| self.absolute(name, path));
            let passed_on = module.exports.iter().filter(|(export, of)| {
                // A folder's module passes its files' items on without using them.
                !of.starts_with(name) || module.words.contains(*export)
            });
            let named = module.imports.values().chain(passed_on.map(|(_, of)| of)).cloned();
            for target in by_paths.chain(named).filter_map(|path| self.defined_in(&path)) {
                let (from, to) = (module.file.clone(), self.modules[&target].file.clone());
                if from != to {
                    uses.insert(Use { from, to });
                }
            }
        }
        uses
    }

    /// A path from the crate's root; `None` for a path into another crate.
    fn absolute(&self, module: &Name, path: &[String]) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        let child: Name = module.iter().chain([first]).cloned().collect();
        let mut start = match self.modules[module].imports.get(first) {
            Some(import) => import.clone(),
            None if self.modules.contains_key(&child) => child,
            None => return anchored(module, path),
        };
        start.extend_from_slice(rest);
        Some(start)
    }

    /// The module that defines what a path names; `None` for a path of modules alone, which names no item.
    fn defined_in(&self, path: &[String]) -> Option<Name> {
        let mut module = Name::new();
        for (at, part) in path.iter().enumerate() {
            let exported = self.modules[&module].exports.get(part);
            let child: Name = module.iter().chain([part]).cloned().collect();
            let is_last = at + 1 == path.len();
            match exported {
                // A function may have the name of its module.
                Some(target) if is_last || !self.modules.contains_key(&child) => {
                    let target: Name = target.iter().chain(&path[at + 1..]).cloned().collect();
                    return if target == path { Some(module) } else { self.defined_in(&target) };
                }
                _ if self.modules.contains_key(&child) => module = child,
                _ => return (!module.is_empty()).then_some(module),
            }
        }
        None
    }
}

/// A path that begins with `crate`, `self` or `super`, from the crate's root.
fn anchored(module: &Name, path: &[String]) -> Option<Name> {
    let (first, mut rest) = path.split_first()?;
    let mut start = match first.as_str() {
        "crate" | "karui" => Name::new(),
        "self" => module.clone(),
        "super" => module[..module.len() - 1].to_vec(),
        _ => return None,
    };
    while let Some((first, after)) = rest.split_first()
        && first == "super"
    {
        start.pop();
        rest = after;
    }
    start.extend_from_slice(rest);
    Some(start)
}

impl Module {
    /// Parses a file's code. Also returns the modules that it declares.
    fn parse(name: &Name, file: String, code: &[String]) -> (Self, Vec<String>) {
        let mut module = Self { file, ..Self::default() };
        let mut children = Vec::new();
        let mut uses = Vec::new();
        let mut at = 0;
        while at < code.len() {
            let next = |ahead: usize| code.get(at + ahead).map_or("", String::as_str);
            match code[at].as_str() {
                "mod" if next(2) == ";" => {
                    children.push(next(1).to_owned());
                    at += 3;
                }
                "use" if at == 0 || !matches!(code[at - 1].as_str(), "+" | "," | "::") => {
                    let end = at + code[at..].iter().position(|token| token == ";").unwrap();
                    let passes_on = at > 0 && matches!(code[at - 1].as_str(), "pub" | ")");
                    leaves(&code[at + 1..end], &mut |path, alias| uses.push((path, alias, passes_on)));
                    at = end + 1;
                }
                token if is_word(token) => {
                    let mut path = vec![token.to_owned()];
                    while code.get(at + 1).is_some_and(|t| t == "::") && code.get(at + 2).is_some_and(|t| is_word(t)) {
                        path.push(code[at + 2].clone());
                        at += 2;
                    }
                    module.words.extend(path.iter().cloned());
                    if path.len() > 1 {
                        module.paths.push(path);
                    }
                    at += 1;
                }
                _ => at += 1,
            }
        }
        module.take_imports(name, &children, uses);
        (module, children)
    }

    fn take_imports(&mut self, name: &Name, children: &[String], uses: Vec<(Name, String, bool)>) {
        for (path, alias, passes_on) in uses {
            let path = if children.contains(&path[0]) {
                name.iter().chain(&path).cloned().collect()
            } else {
                let Some(path) = anchored(name, &path) else { continue };
                path
            };
            let names = if passes_on { &mut self.exports } else { &mut self.imports };
            names.insert(alias, path);
        }
    }
}

/// Calls `found` with each path of a tree such as `a::{b, c::{self, d as e}}`, and with the name that it gets.
fn leaves(tree: &[String], found: &mut impl FnMut(Name, String)) {
    fn walk(prefix: &Name, tree: &[String], found: &mut impl FnMut(Name, String)) {
        let mut path = prefix.clone();
        let mut at = 0;
        while at < tree.len() {
            match tree[at].as_str() {
                "{" => {
                    let inside = &tree[at + 1..tree.len() - 1];
                    return branches(inside).into_iter().for_each(|branch| walk(&path, branch, found));
                }
                "as" => return found(path, tree[at + 1].clone()),
                "self" if !path.is_empty() => {}
                word if is_word(word) => path.push(word.to_owned()),
                _ => {}
            }
            at += 1;
        }
        let alias = path.last().cloned().unwrap_or_default();
        found(path, alias);
    }
    walk(&Name::new(), tree, found);
}

/// The branches between the commas of the outermost level.
fn branches(tree: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    let parts = tree.split(|token| {
        depth += i32::from(token == "{") - i32::from(token == "}");
        token == "," && depth == 0
    });
    parts.filter(|branch| !branch.is_empty()).collect()
}
