"""Notes of projects: GET lists the caller's, POST adds one for so many seconds."""

import os
import time

import sqlalchemy as sa
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_db import options
from webob import Response, dec

COLUMNS = {"project": sa.String(64), "text": sa.Text, "expires": sa.Integer}
NOTES = sa.Table("notes", sa.MetaData(), *(sa.Column(*each) for each in COLUMNS.items()))


def database():
    cfg.CONF(["--config-file", "/run/notes/notes.conf"], project="notes")
    cfg.CONF.register_opts(options.database_opts, "database")
    return sa.create_engine(cfg.CONF.database.connection, pool_pre_ping=True)


def application():
    engine = database()

    @dec.wsgify
    def serve(request):
        project = request.headers["X-Project-Id"]
        with engine.begin() as connection:
            if request.method == "POST":
                expires = int(time.time()) + request.json.get("seconds", 3600)
                values = (project, request.json["text"], expires)
                connection.execute(NOTES.insert().values(values))
            rows = connection.execute(NOTES.select().where(NOTES.c.project == project))
            return Response(json={"notes": [row.text for row in rows]})

    return auth_token.AuthProtocol(serve, {"oslo_config_config": cfg.CONF})


def main():
    """The program beside the API takes away what has expired."""
    engine = database()
    while True:
        with engine.begin() as connection:
            connection.execute(NOTES.delete().where(NOTES.c.expires < time.time()))
        time.sleep(0.5)


if __name__ == "__main__":  # what the service's `sync` runs
    NOTES.metadata.create_all(sa.create_engine(os.environ["OS_DATABASE__CONNECTION"]))
