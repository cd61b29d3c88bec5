// SPDX-License-Identifier: PostgreSQL
//
// pgjdbc, threads with a connection each. Argument: `autocommit`, `transactions` (setAutoCommit(false), rolled back behind each), `cached`
// (prepareThreshold=1: named from the first use) or `fetch` (a fetch size in a transaction: a cursor).
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import java.io.*;

public class PageJdbc {
    static final int N = Integer.parseInt(System.getenv().getOrDefault("ORM_N", "24"));
    static String how;

    interface Values { Object[] of(int i); }

    record Kind(String name, String text, Values values) { }

    static int bookOf(int i) { return i * 4 - 1; }

    static final List<Kind> KINDS = List.of(
        new Kind("author", "select a1_0.id,a1_0.name,a1_0.token from authors a1_0 where a1_0.id=?", i -> new Object[] {i}),
        new Kind("books", "select b1_0.author_id,b1_0.id,b1_0.title from books b1_0 where b1_0.author_id=? order by b1_0.position", i -> new Object[] {i}),
        new Kind("any", "select a1_0.id,a1_0.name from authors a1_0 where a1_0.id = any (?)", i -> new Object[] {new Integer[] {i}}),
        new Kind("tags", "select t1_0.book_id,t1_1.id,t1_1.name from book_tags t1_0 join tags t1_1 on t1_1.id=t1_0.tag_id where t1_0.book_id=? order by t1_1.id",
            i -> new Object[] {bookOf(i)}),
        new Kind("review_count", "select count(*) from reviews r1_0 where r1_0.book_id=?", i -> new Object[] {bookOf(i)}),
        new Kind("tag_by_name", "select t1_0.id,t1_0.name from tags t1_0 where t1_0.name=?", i -> new Object[] {"tag-" + (i % 50 + 1)}),
        new Kind("book_at", "select b1_0.id,b1_0.title from books b1_0 where b1_0.author_id=? and b1_0.position=?", i -> new Object[] {i, i % 4 + 1}),
        new Kind("book_2", "select b1_0.id,b1_0.title,b1_0.price from books b1_0 where b1_0.author_id=? and (b1_0.deleted_at is null) order by b1_0.id fetch first ? rows only",
            i -> new Object[] {i, 2}));

    /** A session: its connection and, as Hibernate has it, statements that are prepared for each use (the driver caches by text). */
    static String ask(Connection c, Kind kind, int i) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(kind.text())) {
            if (how.equals("fetch"))
                s.setFetchSize(10);
            Object[] values = kind.values().of(i);
            for (int k = 0; k < values.length; k++) {
                if (values[k] instanceof Integer[] a)
                    s.setArray(k + 1, c.createArrayOf("int4", a));
                else
                    s.setObject(k + 1, values[k]);
            }
            StringBuilder out = new StringBuilder("[");
            try (ResultSet r = s.executeQuery()) {
                int columns = r.getMetaData().getColumnCount();
                while (r.next())
                    for (int k = 1; k <= columns; k++)
                        out.append(out.length() > 1 ? "," : "").append('"').append(r.getString(k)).append('"');
            }
            if (!c.getAutoCommit())
                c.rollback();
            return out.append("]").toString();
        }
    }

    static String page(ExecutorService pool, List<Connection> connections) throws Exception {
        StringBuilder out = new StringBuilder("{");
        for (Kind kind : KINDS) {
            List<Future<String>> got = new ArrayList<>();
            for (int i = 1; i <= N; i++) {
                final int id = i;
                got.add(pool.submit(() -> ask(connections.get(id - 1), kind, id)));
            }
            out.append(out.length() > 1 ? "," : "").append('"').append(kind.name()).append("\":[");
            for (int i = 0; i < N; i++)
                out.append(i > 0 ? "," : "").append(got.get(i).get());
            out.append("]");
        }
        return out.append("}").toString();
    }

    public static void main(String[] args) throws Exception {
        how = args[0];
        String url = "jdbc:postgresql://127.0.0.1:" + System.getenv("ORM_PORT") + "/orms?user=app&sslmode=disable"
            + (how.equals("cached") ? "&prepareThreshold=1" : "");
        List<Connection> connections = new ArrayList<>();
        for (int i = 0; i < N; i++) {
            Connection c = DriverManager.getConnection(url);
            c.setAutoCommit(!(how.equals("transactions") || how.equals("fetch")));
            connections.add(c);
        }
        ExecutorService pool = Executors.newFixedThreadPool(N);
        System.out.println("{\"ready\":true,\"version\":\"" + connections.get(0).getMetaData().getDriverVersion() + "\"}");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        while (in.readLine() != null) {
            long start = System.nanoTime();
            String page = page(pool, connections);
            double ms = (System.nanoTime() - start) / 1e6;
            System.out.println("{\"ms\":" + ms + ",\"lookups\":" + N * KINDS.size() + ",\"page\":" + page + "}");
        }
        pool.shutdown();
        for (Connection c : connections)
            c.close();
    }
}
