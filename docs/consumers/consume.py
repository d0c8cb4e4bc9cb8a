#!/usr/bin/env python3
"""Follows the events of an organization live, from a checkpoint on, with Python's standard library.

    PROPTY_URL=https://… PROPTY_TOKEN=propty_… ./consume.py [database]

What is done about an event and the position are kept in one transaction, so that each event counts exactly once, whoever crashes.
"""

import http.client
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request

URL = os.environ.get("PROPTY_URL", "http://127.0.0.1:8080")
TOKEN = os.environ["PROPTY_TOKEN"]


def handle(database, event):
    """Your part. It shares the checkpoint's transaction."""
    database.execute(
        "insert into happened (position, id, type, subject) values (?, ?, ?, ?)",
        (event["position"], event["id"], event["type"], event["subject"]),
    )


def follow(database):
    """One connection, until it ends."""
    position, incarnation = database.execute("select position, incarnation from checkpoint").fetchone()
    # The incarnation makes sure that the position means what it meant.
    query = f"after={position}" + (f"&incarnation={incarnation}" if incarnation else "")
    request = urllib.request.Request(f"{URL}/v1/events/stream?{query}", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=45) as stream:
        incarnation = int(stream.headers["Propty-Incarnation"])
        position = data = None
        for line in stream:
            line = line.decode().rstrip("\n")
            if line.startswith("id: "):
                position = int(line[4:])
            elif line.startswith("data: "):
                data = line[6:]
            elif not line:
                if position is not None:
                    with database:
                        if data is not None:
                            handle(database, json.loads(data))
                        database.execute("update checkpoint set position = ?, incarnation = ?", (position, incarnation))
                position = data = None


def main():
    database = sqlite3.connect(sys.argv[1] if len(sys.argv) > 1 else "propty.sqlite")
    database.executescript(
        """
        create table if not exists checkpoint (position integer not null, incarnation integer);
        insert into checkpoint select 0, null where not exists (select 1 from checkpoint);
        create table if not exists happened (position integer primary key, id text, type text, subject text);
        """
    )
    while True:
        try:
            follow(database)
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 410):
                sys.exit(json.load(error)["detail"])
        except (OSError, http.client.HTTPException):
            pass  # The service was away, or the connection broke: go on from the checkpoint.
        time.sleep(1)


main()
