//! The running server: started or adopted, watched, and stopped at the latest when dropped.

use std::{ffi::OsString, path::Path, process::Child};

use crate::{
    Connection, Settings, StartError, StopError, cluster, find,
    launch::{adoptable, launch, leftover},
    place::Place,
    postmaster::{self, Postmaster},
    secret, socket,
};

/// A private `PostgreSQL`. It is stopped when dropped; if this process is killed, the next [`Server::start`] adopts it.
#[derive(Debug)]
pub struct Server {
    postmaster: Postmaster,
    /// Nothing if the server was adopted: then it is no child of ours.
    child: Option<Child>,
    connection: Connection,
    version: String,
    stopped: bool,
    place: Place,
}

impl Server {
    /// Finds, initialises, adopts or starts what is needed and returns when the server answers. `notice` hears what a person should know meanwhile.
    pub fn start(settings: &Settings, notice: &mut dyn FnMut(&str)) -> Result<Self, StartError> {
        let place = Place::hold(&settings.data_dir, notice)?;
        place.sweep()?;
        let cluster = place.cluster();
        let binaries = find::choose(settings, &place, cluster::major(&cluster)?, notice)?;
        let socket_dir = socket::prepare(&place.base, &place.account)?;
        let args = arguments(&cluster, &socket_dir, settings);

        let password_file = place.base.join("password");
        let known = secret::load(&password_file).map_err(StartError::at(&password_file))?;
        let orphan = if cluster.exists() { leftover(&cluster)? } else { None };
        let adopted = match orphan {
            Some(orphan) if known.is_some() && adoptable(&orphan, &cluster, &socket_dir, &args)? => Some(orphan),
            Some(orphan) => {
                notice("a database server left behind by an earlier run is restarted");
                postmaster::end(&orphan, || !orphan.lives(&cluster)).map_err(StartError::Leftover)?;
                None
            }
            None => None,
        };
        let password = match known {
            Some(password) => password,
            None => secret::generate().map_err(StartError::at("/dev/urandom"))?,
        };
        let keep = || secret::save(&password_file, &password).map_err(StartError::at(&password_file));
        if !cluster.exists() {
            notice(&format!("making a private PostgreSQL {} database in {}", binaries.version, place.base.display()));
            // The file comes first here and last below: whenever it is there, its password is the right one.
            keep()?;
            cluster::initialise(&place, &binaries, &password)?;
        } else if secret::load(&password_file).map_err(StartError::at(&password_file))?.is_none() {
            cluster::reset_password(&place, &binaries, &password)?;
            keep()?;
        }

        let connection = Connection {
            socket_dir,
            port: socket::PORT,
            user: cluster::NAME.to_owned(),
            password,
            database: cluster::NAME.to_owned(),
        };
        let version = binaries.version.clone();
        if let Some(postmaster) = adopted {
            notice("the database server left behind by an earlier run is taken over");
            return Ok(Self { postmaster, child: None, connection, version, stopped: false, place });
        }
        socket::clear(&connection.socket_dir)?;
        let (postmaster, child) = launch(&place, &binaries, &args, &connection.socket_dir, notice)?;
        Ok(Self { postmaster, child: Some(child), connection, version, stopped: false, place })
    }

    /// How to reach the server as the owner of the database `propty`.
    pub fn connect_options(&self) -> Connection {
        self.connection.clone()
    }

    /// The data folder of the settings, as an absolute path.
    pub fn data_dir(&self) -> &Path {
        &self.place.data_dir
    }

    /// The folder the database is really in: `postgres` in the data folder, or one below `/var/lib/propty`.
    pub fn folder(&self) -> &Path {
        &self.place.base
    }

    /// The version of `PostgreSQL`'s programs, such as `15.12`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The number of the server's process.
    pub fn pid(&self) -> i32 {
        self.postmaster.pid
    }

    /// Whether it was running already, left behind by an earlier run.
    pub fn was_adopted(&self) -> bool {
        self.child.is_none()
    }

    /// Whether the server's process still lives. When it does not, drop this and start anew: the server recovers.
    pub fn is_alive(&mut self) -> bool {
        let cluster = self.place.cluster();
        !self.stopped && !gone(&self.postmaster, self.child.as_mut(), &cluster)
    }

    /// Stops the server, so that it has nothing to recover at the next start.
    pub fn stop(mut self) -> Result<(), StopError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), StopError> {
        if self.stopped {
            return Ok(());
        }
        self.stopped = true;
        let cluster = self.place.cluster();
        let mut child = self.child.take();
        postmaster::end(&self.postmaster, || gone(&self.postmaster, child.as_mut(), &cluster))?;
        socket::tidy(&self.connection.socket_dir, &self.place.base);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the database server was not stopped");
        }
    }
}

/// Whether the server has ended; a child is reaped by asking.
fn gone(postmaster: &Postmaster, child: Option<&mut Child>, cluster: &Path) -> bool {
    match child {
        Some(child) => !matches!(child.try_wait(), Ok(None)),
        None => !postmaster.lives(cluster),
    }
}

/// The server's whole configuration is on its command line, so that nothing in its files can differ from what we asked for.
fn arguments(cluster: &Path, socket_dir: &Path, settings: &Settings) -> Vec<OsString> {
    let mut args = vec![OsString::from("-D"), cluster.into()];
    let mut set = |name: &str, value: OsString| {
        let mut text = OsString::from(format!("{name}="));
        text.push(value);
        args.extend([OsString::from("-c"), text]);
    };
    // Statements and the details of their errors hold personal data, which belongs in no log.
    for (name, value) in
        [("log_error_verbosity", "terse"), ("log_min_error_statement", "panic"), ("cluster_name", cluster::NAME)]
    {
        set(name, value.into());
    }
    for (name, value) in &settings.parameters {
        set(name, value.into());
    }
    // The last one counts: these are not for the caller to change.
    for (name, value) in
        [("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "on"), ("listen_addresses", "")]
    {
        set(name, value.into());
    }
    set("unix_socket_directories", socket::quoted(socket_dir));
    set("unix_socket_permissions", "0700".into());
    set("port", socket::PORT.to_string().into());
    // The log must stay the file that we give it.
    set("logging_collector", "off".into());
    args
}
