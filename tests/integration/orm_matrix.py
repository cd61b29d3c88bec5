# SPDX-License-Identifier: PostgreSQL
"""The matrix: mappers by kinds of lazy page. orms/matrix_* are small programs, one for each mapper, that make a page for each line on their
standard input, its name, and print {"page": …}: what they have read, in the order in which they did. The data is in orms/matrix.sql.

Used by test_matrix.py and by tests/bench/matrix.py. `Application` is one such program that runs against one end.
"""
import os
import re
import shutil

import orm_pages
import servers
from orm_pages import GOPATH, JDBC_JAR, ORMS, node, node_has, perl_has, php_has, python, ruby_has

DATABASE = "matrix"
N = 60
PAGES = ["to_many", "to_one", "nested", "many_to_many", "counts", "latest", "polymorphic", "tree", "tenant", "write", "write_in_transaction", "relations",
         "keyset", "after_write", "deferred", "refresh", "view", "uuid"]


def ruby(name, *modules):
    return {"command": lambda folder: ["ruby", name], "installed": lambda: ruby_has(*modules)}


def php(name, library):
    return {"command": lambda folder: ["php", name], "installed": lambda: php_has("pdo_pgsql") and os.path.exists("/usr/share/php/%s/autoload.php" % library)}


def gorm(folder):
    """Built once a folder; GOCACHE may say where the compiler keeps what it has built."""
    program = os.path.join(folder, "matrix_gorm")
    if not os.path.exists(program):
        env = dict(os.environ, GO111MODULE="off", GOPATH=GOPATH, GOFLAGS="", GOCACHE=os.environ.get("GOCACHE", os.path.join(folder, "go-cache")))
        servers.run("go", "build", "-o", program, os.path.join(ORMS, "matrix_gorm.go"), env=env)
    return [program]


JARS = ["/usr/share/java/%s.jar" % jar for jar in ("hibernate-core", "hibernate-commons-annotations", "javassist", "antlr", "commons-collections3", "dom4j",
                                                  "geronimo-jpa_2.0_spec", "geronimo-jta-1.2-spec", "slf4j-api", "slf4j-nop")] + [JDBC_JAR]


def hibernate(folder):
    if not os.path.exists(os.path.join(folder, "MatrixHibernate.class")):
        servers.run("javac", "-nowarn", "-cp", ":".join(JARS), "-d", folder, os.path.join(ORMS, "MatrixHibernate.java"))
    # Small and quick to start. That version makes classes in a way that Java has closed since.
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "--add-opens", "java.base/java.lang=ALL-UNNAMED",
            "-cp", ":".join([folder, *JARS]), "MatrixHibernate"]


def hibernate_installed():
    return shutil.which("javac") and all(map(os.path.exists, JARS))


MAPPERS = {
    "django": python("matrix_django.py", "django", "psycopg2"),
    "sqlalchemy": python("matrix_sqlalchemy.py", "sqlalchemy", "psycopg2"),
    "peewee": python("matrix_peewee.py", "peewee", "psycopg2"),
    "activerecord": ruby("matrix_activerecord.rb", "active_record", "pg"),
    "sequelize": node("matrix_sequelize.js", "sequelize", "pg"),
    "typeorm": node("matrix_typeorm.js", "typeorm", "pg"),
    "mikro": node("matrix_mikro.js", "@mikro-orm/postgresql"),
    "dbix": {"command": lambda folder: ["perl", "matrix_dbix.pl"], "installed": lambda: perl_has("DBIx::Class") and perl_has("DBD::Pg")},
    "sequel": ruby("matrix_sequel.rb", "sequel", "pg"),
    "objection": node("matrix_objection.js", "objection", "knex", "pg"),
    "eloquent": php("matrix_eloquent.php", "Illuminate/Database"),
    "doctrine": php("matrix_doctrine.php", "Doctrine/ORM"),
    "hibernate": {"command": hibernate, "installed": hibernate_installed},
    "gorm": {"command": gorm, "installed": lambda: shutil.which("go") and os.path.isdir(os.path.join(GOPATH, "src/github.com/jinzhu/gorm"))},
}


def make_database(pg):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql("CREATE DATABASE %s OWNER app" % DATABASE)
        c.sql("ALTER DATABASE %s SET log_statement = 'all'" % DATABASE)
    with open(os.path.join(ORMS, "matrix.sql")) as f:
        text = f.read()
    with pg.connect(servers.SUPERUSER, DATABASE) as c:
        for statement in re.split(r";\n", text.strip()):
            c.sql(statement)


class Application(orm_pages.Program):
    """ask(name) has it make a page."""

    def __init__(self, mapper, port, folder, n=N):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        env.update(ORM_PORT=str(port), ORM_N=str(n), PGSSLMODE="disable")
        super().__init__(MAPPERS[mapper]["command"](folder), env, os.path.join(folder, "errors-%s-%d" % (mapper, port)), ORMS)

    def ask(self, name):
        self.process.stdin.write(name.encode() + b"\n")
        self.process.stdin.flush()
        return self.read()["page"]
