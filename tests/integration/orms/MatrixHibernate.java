// SPDX-License-Identifier: PostgreSQL

// The matrix' pages with Hibernate (3.6, which Debian has) over pgjdbc: a session and a transaction for each page, as Spring's @Transactional has it.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigDecimal;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import javax.persistence.Column;
import javax.persistence.Entity;
import javax.persistence.FetchType;
import javax.persistence.GeneratedValue;
import javax.persistence.GenerationType;
import javax.persistence.Id;
import javax.persistence.JoinColumn;
import javax.persistence.JoinTable;
import javax.persistence.ManyToMany;
import javax.persistence.ManyToOne;
import javax.persistence.OneToMany;
import javax.persistence.OrderBy;
import javax.persistence.Table;
import org.hibernate.Query;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.annotations.Type;
import org.hibernate.annotations.Where;
import org.hibernate.cfg.Configuration;

public class MatrixHibernate {
    static final int N = Integer.parseInt(System.getenv().getOrDefault("ORM_N", "60")), STEP = 20;

    @Entity @Table(name = "authors")
    public static class Author {
        @Id int id;
        @Column(name = "tenant_id") int tenantId;
        String name;
        String bio;
        Date born;
        @Column(name = "created_at") Date createdAt;
        @Column(name = "deleted_at") Date deletedAt;
        @OneToMany(mappedBy = "author") @OrderBy("id") List<Book> books;
        @OneToMany(mappedBy = "author") @OrderBy("id") @Where(clause = "tenant_id = 1 and deleted_at is null") List<Book> liveBooks;
        @OneToMany(mappedBy = "author") @OrderBy("id") List<Award> awards;
        @OneToMany(mappedBy = "author") @OrderBy("id") List<BookInfo> infos;
        public int getId() { return id; }
        public String getName() { return name; }
        public List<Book> getBooks() { return books; }
    }

    @Entity @Table(name = "profiles")
    public static class Profile {
        @Id int id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "author_id") Author author;
        String site;
    }

    @Entity @Table(name = "awards")
    public static class Award {
        @Id int id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "author_id") Author author;
        String name;
    }

    @Entity @Table(name = "books")
    public static class Book {
        @Id int id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "author_id") Author author;
        @Column(name = "tenant_id") int tenantId;
        String title;
        BigDecimal price;
        Date published;
        @Column(name = "deleted_at") Date deletedAt;
        @OneToMany(mappedBy = "book") @OrderBy("id") List<Review> reviews;
        @ManyToMany @JoinTable(name = "book_tags", joinColumns = @JoinColumn(name = "book_id"), inverseJoinColumns = @JoinColumn(name = "tag_id"))
        @OrderBy("id") List<Tag> tags;
    }

    @Entity @Table(name = "reviews")
    public static class Review {
        @Id long id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "book_id") Book book;
        int stars;
        String body;
    }

    @Entity @Table(name = "tags")
    public static class Tag {
        @Id int id;
        String name;
    }

    @Entity @Table(name = "comments")
    public static class Comment {
        @Id int id;
        @Column(name = "commentable_type") String commentableType;
        @Column(name = "commentable_id") int commentableId;
        String body;
    }

    @Entity @Table(name = "categories")
    public static class Category {
        @Id int id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "parent_id") Category parent;
        @OneToMany(mappedBy = "parent") @OrderBy("id") List<Category> children;
        String name;
        public String getName() { return name; }
        public Category getParent() { return parent; }
    }

    @Entity @Table(name = "accounts")
    public static class Account {
        @Id @Type(type = "pg-uuid") UUID id;
        String owner;
        int position;
        @OneToMany(mappedBy = "account") @OrderBy("position") List<Entry> entries;
        public String getOwner() { return owner; }
    }

    @Entity @Table(name = "entries")
    public static class Entry {
        @Id @Type(type = "pg-uuid") UUID id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "account_id") Account account;
        BigDecimal amount;
        int position;
    }

    @Entity @Table(name = "book_infos")
    public static class BookInfo {
        @Id int id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "author_id") Author author;
        String title;
        @Column(name = "author_name") String authorName;
    }

    @Entity @Table(name = "author_totals")
    public static class AuthorTotal {
        @Id int id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "author_id") Author author;
        @Column(name = "n_books") long nBooks;
    }

    @Entity @Table(name = "audits")
    public static class Audit {
        @Id @GeneratedValue(strategy = GenerationType.IDENTITY) int id;
        @Column(name = "author_id") int authorId;
        String what;
    }

    // What a page has read, as one text.
    static final StringBuilder out = new StringBuilder();

    static void say(Object... what) {
        for (Object w : what) out.append(w).append(';');
    }

    @SuppressWarnings("unchecked")
    static <T> List<T> list(Session s, Class<T> of, String rest, int n, Object... values) {
        Query q = s.createQuery("from " + of.getName() + " x " + rest).setMaxResults(n);
        for (int i = 0; i < values.length; i++) q.setParameter(i, values[i]);
        return q.list();
    }

    static <T> T one(Session s, Class<T> of, String rest, Object... values) { return list(s, of, rest, 1, values).get(0); }

    static List<Author> authors(Session s, int n) { return list(s, Author.class, "order by x.id", n); }

    static void titles(Author a) {
        say(a.getName());
        for (Book b : a.getBooks()) say(b.title);
    }

    static void toMany(Session s) {
        for (Author a : authors(s, N)) titles(a);
    }

    static void toOne(Session s) {
        for (Book b : list(s, Book.class, "order by x.id", 4 * N)) say(b.title, b.author.getName());
    }

    static void nested(Session s) {
        for (Author a : authors(s, N / 2)) {
            for (Book b : a.books) {
                say(b.title);
                for (Review r : b.reviews) say(r.body);
            }
        }
    }

    static void manyToMany(Session s) {
        for (Book b : list(s, Book.class, "order by x.id", N)) {
            for (Tag t : b.tags) say(t.name);
        }
    }

    static void counts(Session s) {
        for (Author a : authors(s, N)) say(a.name, s.createQuery("select count(*) from MatrixHibernate$Book b where b.author = ?").setParameter(0, a).uniqueResult());
    }

    static void latest(Session s) {
        for (Author a : authors(s, N)) say(one(s, Book.class, "where x.author.id = ? order by x.published desc, x.id desc", a.getId()).title);
    }

    static void polymorphic(Session s) {
        for (Comment c : list(s, Comment.class, "order by x.id", N)) {
            if (c.commentableType.equals("Book")) say(c.body, ((Book) s.get(Book.class, c.commentableId)).title);
            else say(c.body, ((Author) s.get(Author.class, c.commentableId)).getName());
        }
        for (Author a : authors(s, N / 2)) {
            for (Comment c : list(s, Comment.class, "where x.commentableType = ? and x.commentableId = ? order by x.id", 100, "Author", a.getId())) say(c.body);
        }
    }

    static void below(Category c) {
        say(c.getName());
        for (Category child : c.children) below(child);
    }

    static void tree(Session s) {
        for (Category c : list(s, Category.class, "order by x.id desc", N)) {
            for (Category up = c; up != null; up = up.getParent()) say(up.getName());
        }
        s.clear();
        below(one(s, Category.class, "where x.parent is null"));
    }

    static void tenant(Session s) {
        for (Author a : list(s, Author.class, "where x.tenantId = ? and x.deletedAt is null order by x.id", N, 1)) {
            for (Book b : a.liveBooks) say(b.title);
        }
    }

    static void audited(Session s) {
        for (Author a : authors(s, N)) {
            titles(a);
            Audit audit = new Audit();
            audit.authorId = a.getId();
            audit.what = "seen";
            s.save(audit);
        }
    }

    static void relations(Session s) {
        for (int n = 2; n <= 3; n++, s.clear()) {
            for (Author a : authors(s, n == 2 ? N / 2 : N)) {
                titles(a);
                say(one(s, Profile.class, "where x.author = ?", a).site);
                if (n == 3) for (Award w : a.awards) say(w.name);
            }
        }
    }

    static void keyset(Session s) {
        for (int last = 0, n = 0; n < N; n += STEP) {
            for (Author a : list(s, Author.class, "where x.id > ? order by x.id", STEP, last)) {
                titles(a);
                last = a.getId();
            }
        }
    }

    static void afterWrite(Session s) {
        Audit audit = new Audit();
        audit.authorId = 1;
        audit.what = "begun";
        s.save(audit);
        toMany(s);
    }

    static void deferred(Session s) {
        for (Object row : s.createQuery("select x.id, x.name from MatrixHibernate$Author x order by x.id").setMaxResults(N).list()) {
            Object[] a = (Object[]) row;
            say(a[1], s.createQuery("select x.bio from MatrixHibernate$Author x where x.id = ?").setParameter(0, a[0]).uniqueResult());
        }
    }

    static void refresh(Session s) {
        for (Author a : authors(s, N)) {
            s.refresh(a);
            say(a.name);
        }
    }

    static void view(Session s) {
        for (Author a : authors(s, N)) {
            for (BookInfo i : a.infos) say(i.title, i.authorName);
            say(one(s, AuthorTotal.class, "where x.author = ?", a).nBooks);
        }
    }

    static void uuids(Session s) {
        for (Account a : list(s, Account.class, "order by x.position", N)) {
            say(a.owner);
            for (Entry e : a.entries) say(e.amount);
        }
        s.clear();
        for (Entry e : list(s, Entry.class, "order by x.position desc", N)) say(e.amount, e.account.getOwner());
    }

    interface Page {
        void make(Session s);
    }

    static final Map<String, Page> PAGES = new TreeMap<>();

    static SessionFactory connect() {
        Configuration c = new Configuration();
        for (Class<?> inner : MatrixHibernate.class.getDeclaredClasses()) {
            if (inner.isAnnotationPresent(Entity.class)) c.addAnnotatedClass(inner);
        }
        c.setProperty("hibernate.connection.url", "jdbc:postgresql://127.0.0.1:" + System.getenv("ORM_PORT") + "/matrix");
        c.setProperty("hibernate.connection.username", "app");
        c.setProperty("hibernate.connection.pool_size", "1");
        c.setProperty("hibernate.connection.driver_class", "org.postgresql.Driver");
        c.setProperty("hibernate.dialect", "org.hibernate.dialect.PostgreSQLDialect");
        return c.buildSessionFactory();
    }

    static void make(SessionFactory factory, String name) {
        Session s = factory.openSession();
        out.setLength(0);
        if (name.equals("write")) { // a transaction for each call
            try {
                s.doWork(connection -> connection.setAutoCommit(true));
                audited(s);
            } finally {
                s.close();
            }
            return;
        }
        s.beginTransaction();
        PAGES.get(name).make(s);
        s.getTransaction().commit();
        s.close();
    }

    public static void main(String[] arguments) throws Exception {
        PAGES.put("to_many", MatrixHibernate::toMany);
        PAGES.put("to_one", MatrixHibernate::toOne);
        PAGES.put("nested", MatrixHibernate::nested);
        PAGES.put("many_to_many", MatrixHibernate::manyToMany);
        PAGES.put("counts", MatrixHibernate::counts);
        PAGES.put("latest", MatrixHibernate::latest);
        PAGES.put("polymorphic", MatrixHibernate::polymorphic);
        PAGES.put("tree", MatrixHibernate::tree);
        PAGES.put("tenant", MatrixHibernate::tenant);
        PAGES.put("write_in_transaction", MatrixHibernate::audited);
        PAGES.put("relations", MatrixHibernate::relations);
        PAGES.put("keyset", MatrixHibernate::keyset);
        PAGES.put("after_write", MatrixHibernate::afterWrite);
        PAGES.put("deferred", MatrixHibernate::deferred);
        PAGES.put("refresh", MatrixHibernate::refresh);
        PAGES.put("view", MatrixHibernate::view);
        PAGES.put("uuid", MatrixHibernate::uuids);
        SessionFactory factory = connect();
        System.out.println("{\"version\": \"3.6\"}");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String name = in.readLine(); name != null; name = in.readLine()) {
            make(factory, name.trim());
            System.out.println("{\"page\": \"" + out + "\"}");
        }
    }
}
