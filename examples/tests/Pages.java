// SPDX-License-Identifier: PostgreSQL
//
// pgfold test -- java -cp postgresql.jar Pages.java [lazy | eager]
import java.net.URI;
import java.sql.*;
import java.util.*;

public class Pages {
    static Connection connect() throws Exception {
        URI u = new URI(System.getenv("DATABASE_URL"));
        String[] who = u.getUserInfo().split(":");
        return DriverManager.getConnection("jdbc:postgresql://" + u.getHost() + ":" + u.getPort() + u.getPath(), who[0], who[1]);
    }

    static void lazy(Connection c) throws SQLException {
        List<Integer> ids = new ArrayList<>();
        try (ResultSet r = c.createStatement().executeQuery("SELECT id, name FROM author ORDER BY id")) {
            while (r.next())
                ids.add(r.getInt(1));
        }
        try (PreparedStatement p = c.prepareStatement("SELECT title FROM book WHERE author_id = ? ORDER BY id")) {
            for (int id : ids) {
                p.setInt(1, id);
                p.executeQuery().close();
            }
        }
    }

    static void eager(Connection c) throws SQLException {
        c.createStatement().executeQuery("SELECT a.name, b.title FROM author a JOIN book b ON b.author_id = a.id ORDER BY b.id").close();
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = connect()) {
            if (args[0].equals("lazy"))
                lazy(c);
            else
                eager(c);
        }
    }
}
