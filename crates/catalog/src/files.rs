//! Which files are a catalogue, and their texts.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::boards;
use crate::pipelines;
use crate::problem::Diagnostic;

/// Of one file.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Of one directory, all below it included.
const FILES_MAX: usize = 20_000;

/// Directories within directories.
const DEPTH_MAX: usize = 16;

/// The folder of contracts beside an `omd.yaml`.
const CONTRACTS: &str = "contracts";

/// Directories of other programs, which may hold a great many files.
const NOT_OURS: [&str; 4] = ["node_modules", "target", "vendor", "venv"];

/// The texts of files, and of what directories hold, each with its name.
pub fn texts<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    texts_of(paths, files_of)
}

/// Of a directory, those that are `files_of` it.
fn texts_of<P: AsRef<Path>>(
    paths: &[P],
    files_of: impl Fn(&Path) -> Found<Vec<PathBuf>>,
) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    let (mut diagnostics, mut texts, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for path in paths {
        match files_of(path.as_ref()).and_then(|files| files.into_iter().map(read).collect::<Result<Vec<_>, _>>()) {
            // What is named twice, by itself and by its directory, is one file.
            Ok(more) => texts.extend(more.into_iter().filter(|(name, _)| seen.insert(name.clone()))),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    if diagnostics.is_empty() { Ok(texts) } else { Err(diagnostics) }
}

type Found<T> = Result<T, Box<Diagnostic>>;

fn fail<T>(path: &Path, what: String) -> Found<T> {
    Err(Box::new(Diagnostic::of_file(path, what)))
}

/// A directory that holds an `omd.yaml`, however deep, is a checkout, or several: its files are those called so. Any other is a
/// folder of nothing but the catalogue.
fn files_of(path: &Path) -> Found<Vec<PathBuf>> {
    match std::fs::metadata(path) {
        Err(error) => return fail(path, format!("cannot read catalogue: {error}")),
        Ok(metadata) if !metadata.is_dir() => return Ok(vec![path.to_owned()]),
        Ok(_) => {}
    }
    let mut files = Vec::new();
    checkout(path, 0, &mut files)?;
    if files.is_empty() {
        files = listed(path, &["yaml", "yml"])?;
    } else if let Some(other) = listed(path, &["yaml", "yml"])?.into_iter().find(|file| !is_omd(file) && looks_like_omd(file)) {
        return fail(
            &other,
            "cannot tell whether this is part of the catalogue: beside an omd.yaml it has to be called <name>.omd.yaml".to_owned(),
        );
    }
    beside(path, &mut files)?;
    files.dedup();
    if files.is_empty() {
        let what = "cannot find a catalogue: the directory holds no .yaml, no .yml, no contracts/*.json, no boards/*.yaml and no pipelines/*.yaml file";
        return fail(path, what.to_owned());
    }
    Ok(files)
}

fn is_omd(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    stem.is_some_and(|stem| stem == "omd" || stem.ends_with(".omd"))
}

fn looks_like_omd(file: &Path) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| line.starts_with("business_services:")))
}

/// The catalogue's files of a directory and of those below it.
fn checkout(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Found<()> {
    if depth > DEPTH_MAX {
        return fail(folder, format!("cannot look deeper than depth_max, {DEPTH_MAX} directories"));
    }
    let omd: Vec<PathBuf> = listed(folder, &["yaml", "yml"])?.into_iter().filter(|file| is_omd(file)).collect();
    if !omd.is_empty() {
        files.extend(omd);
        // Those of the directory that was asked for are added by whoever asked.
        if depth > 0 {
            beside(folder, files)?;
        }
    }
    if files.len() > FILES_MAX {
        return fail(folder, format!("cannot read a catalogue of more than files_max, {FILES_MAX}"));
    }
    for inner in folders(folder)? {
        checkout(&inner, depth + 1, files)?;
    }
    Ok(())
}

/// The texts of files, and of the YAML files in directories and below them that are wanted: what other programs keep. `what` is one of these.
pub(crate) fn texts_below<P: AsRef<Path>>(
    paths: &[P],
    what: &str,
    wanted: impl Fn(&Path) -> bool,
) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    texts_of(paths, |path| {
        if !path.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let found = below(path, &wanted)?;
        if found.is_empty() { fail(path, format!("cannot find a {what} in this directory or below it")) } else { Ok(found) }
    })
}

fn below(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Found<Vec<PathBuf>> {
    let (mut folders_left, mut files) = (vec![(folder.to_owned(), 0)], Vec::new());
    while let Some((folder, depth)) = folders_left.pop() {
        if depth > DEPTH_MAX {
            return fail(&folder, format!("cannot look deeper than depth_max, {DEPTH_MAX} directories"));
        }
        files.extend(listed(&folder, &["yaml", "yml"])?.into_iter().filter(|file| wanted(file)));
        if files.len() > FILES_MAX {
            return fail(&folder, format!("cannot read more files than files_max, {FILES_MAX}"));
        }
        folders_left.extend(folders(&folder)?.into_iter().rev().map(|inner| (inner, depth + 1)));
    }
    Ok(files)
}

/// Contracts, boards, and pipelines with their look-up tables.
fn beside(folder: &Path, files: &mut Vec<PathBuf>) -> Found<()> {
    let tables = Path::new(pipelines::FOLDER).join(pipelines::TABLES);
    let yaml = &["yaml", "yml"][..];
    let folders = [(Path::new(CONTRACTS), &["json"][..]), (Path::new(boards::FOLDER), yaml), (Path::new(pipelines::FOLDER), yaml)];
    for (name, extensions) in folders.into_iter().chain([(tables.as_path(), &["csv", "json"][..])]) {
        let folder = folder.join(name);
        if folder.is_dir() {
            files.extend(listed(&folder, extensions)?);
        }
    }
    Ok(())
}

fn folders(folder: &Path) -> Found<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in entries(folder)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Links are not followed: they may lead in a circle.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// The files of a directory with one of these extensions.
fn listed(folder: &Path, extensions: &[&str]) -> Found<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = entries(folder)?.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) && !path.is_dir());
    files.sort();
    Ok(files)
}

fn entries(folder: &Path) -> Found<Vec<std::fs::DirEntry>> {
    match std::fs::read_dir(folder).and_then(Iterator::collect) {
        Ok(entries) => Ok(entries),
        Err(error) => fail(folder, format!("cannot list catalogue: {error}")),
    }
}

fn read(path: PathBuf) -> Found<(String, String)> {
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            fail(&path, format!("cannot read catalogue: {} bytes are over file_bytes_max, {FILE_BYTES_MAX}", metadata.len()))
        }
        Ok(_) => match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path.display().to_string(), text)),
            Err(error) => fail(&path, format!("cannot read catalogue: {error}")),
        },
        Err(error) => fail(&path, format!("cannot read catalogue: {error}")),
    }
}
