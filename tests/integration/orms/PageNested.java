// SPDX-License-Identifier: PostgreSQL
//
// pgjdbc, one connection; page_nested.py says what a page is. Arguments: `autocommit` or `transactions` (one for each page,
// committed); then for each level its statement and the column of the row above that has its key, from 1.
import java.io.*;
import java.sql.*;
import java.util.*;

public class PageNested {
    static final List<String> texts = new ArrayList<>(), took = new ArrayList<>();
    static final List<Integer> from = new ArrayList<>();
    static Connection db;

    static List<Object[]> ask(int depth, Object value) throws SQLException {
        long start = System.nanoTime();
        List<Object[]> rows = new ArrayList<>();
        try (PreparedStatement s = db.prepareStatement(texts.get(depth))) {
            s.setObject(1, value);
            try (ResultSet r = s.executeQuery()) {
                int columns = r.getMetaData().getColumnCount();
                while (r.next()) {
                    Object[] row = new Object[columns];
                    for (int i = 0; i < columns; i++)
                        row[i] = r.getObject(i + 1);
                    rows.add(row);
                }
            }
        }
        took.add(String.format(Locale.ROOT, "%.3f", (System.nanoTime() - start) / 1e6));
        return rows;
    }

    static void walk(StringBuilder out, Object[] row, int depth) throws SQLException {
        out.append("[");
        for (int i = 0; i < row.length; i++)
            out.append(i > 0 ? ", " : "").append(row[i] instanceof Number ? row[i].toString() : "\"" + row[i] + "\"");
        if (depth < texts.size()) {
            out.append(", ");
            walkAll(out, ask(depth, row[from.get(depth) - 1]), depth + 1);
        }
        out.append("]");
    }

    static void walkAll(StringBuilder out, List<Object[]> rows, int depth) throws SQLException {
        out.append("[");
        for (int i = 0; i < rows.size(); i++) {
            out.append(i > 0 ? ", " : "");
            walk(out, rows.get(i), depth);
        }
        out.append("]");
    }

    public static void main(String[] args) throws Exception {
        for (int i = 1; i + 1 < args.length; i += 2) {
            texts.add(args[i].replace("%s", "?"));
            from.add(Integer.parseInt(args[i + 1]));
        }
        db = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + System.getenv("ORM_PORT") + "/nested?user=app&sslmode=disable");
        db.setAutoCommit(args[0].equals("autocommit"));
        System.out.println("{\"version\": \"" + db.getMetaData().getDriverVersion() + "\"}");
        System.out.flush();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            took.clear();
            long start = System.nanoTime();
            StringBuilder page = new StringBuilder();
            walkAll(page, ask(0, line.startsWith("\"") ? line.substring(1, line.length() - 1) : Integer.valueOf(line)), 1);
            if (!db.getAutoCommit()) {
                long end = System.nanoTime();
                db.commit();
                took.add(String.format(Locale.ROOT, "%.3f", (System.nanoTime() - end) / 1e6));
            }
            double ms = (System.nanoTime() - start) / 1e6;
            System.out.println(String.format(Locale.ROOT, "{\"ms\": %.3f, \"began\": %.6f, \"took\": %s, \"page\": %s}", ms, start / 1e9, took, page));
            System.out.flush();
        }
    }
}
