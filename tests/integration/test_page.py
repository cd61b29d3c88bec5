# SPDX-License-Identifier: PostgreSQL
"""The page: what it tells without a script, and what a real browser makes of it, also where names are hostile."""
import contextlib
import http.client
import json
import re
import signal

import pytest

import browser
import servers

pytestmark = pytest.mark.pgfold
SECRET = "planted-7315"
# Markup, what turns the direction of writing, and nowhere a place to break it; as long as names may be.
HOSTILE = "\u202e<img/src='x'/onerror=document.title='owned'>\u2066".ljust(59, "w")


def ask(port, path="/", method="GET", **headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(c):
        c.request(method, path, headers=headers)
        r = c.getresponse()
        return r.status, dict(r.getheaders()), r.read().decode()


@pytest.fixture(scope="module")
def hostile(pg):
    """The name of a database."""
    assert len(HOSTILE.encode()) == 63
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql('CREATE DATABASE "%s"' % HOSTILE)
    return HOSTILE


@pytest.fixture
def web(start_pgfold):
    """web(settings): a pgfold with HTTP, after some statements; its port is p.http."""
    def start(settings=None, port=None, **kw):
        port = port or servers.free_port()
        p = start_pgfold({"http.listen": "127.0.0.1:%d" % port} | (settings or {}), **kw)
        p.http = port
        return p
    return start


def wait_for_links(p):
    """To loops. A page may have been made some time ago, before there was one."""
    return servers.wait_for(lambda: re.findall(r'<a href="/report#([0-9a-f]{16})"', ask(p.http)[2]), "a loop on the page")


def work(p, n=30):
    with p.connect() as c:
        for i in range(n):
            c.sql("SELECT name FROM item WHERE id = %d" % i)
        c.sql("UPDATE scratch SET a = 1 WHERE b = '%s'" % SECRET)
        return c


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html.replace("<wbr>", "")))


def test_without_a_script(web):
    p = web()
    work(p)
    status, headers, html = ask(p.http)
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    text = text_of(html)
    assert "31 asked" in text and "mode fold" in text and "estimate" in text and "{{" not in html
    assert re.search(r"not_select only SELECT statements are folded 1 100 %", text), text
    assert "pgfold.server …" in text and "http.listen 127.0.0.1:%d" % p.http in text
    assert SECRET not in html + ask(p.http, "/stats.json")[2] + ask(p.http, "/history.json")[2]
    assert not re.search(r"<[^>]*\s(style|on\w+)=|<script>|<style", html), "the CSP would refuse it"


def test_files_are_kept_by_browsers(web):
    p = web()
    for path, kind in (("/page.css", "text/css"), ("/page.js", "text/javascript"), ("/icon.svg", "image/svg+xml")):
        status, headers, body = ask(p.http, path)
        assert status == 200 and headers["Content-Type"].startswith(kind) and body
        tag = headers["ETag"]
        for said in (tag, 'W/"other", W/%s' % tag, "*"):
            assert ask(p.http, path, **{"If-None-Match": said})[::2] == (304, "")
        assert ask(p.http, path, **{"If-None-Match": '"other"'})[2] == body
        status, headers, empty = ask(p.http, path, "HEAD")
        assert (status, empty, headers["ETag"], headers["Content-Length"]) == (200, "", tag, str(len(body.encode())))
    assert ask(p.http, method="HEAD")[2] == "" and ask(p.http, method="POST")[0] == 405
    assert ask(p.http, "/page.html")[0] == 404


def test_figures_as_json(web):
    p = web()
    work(p)
    servers.wait_for(lambda: json.loads(ask(p.http, "/history.json")[2])["seconds"], "a second")
    status, headers, text = ask(p.http, "/stats.json")
    found = json.loads(text)
    assert status == 200 and headers["Content-Type"] == "application/json" and found["mode"] == "fold"
    asked = found["statements"]
    assert asked["asked"] == 31 == sum(asked[k] for k in ("folded", "ahead", "alone", "forwarded", "here"))
    assert found["forwarded_by_reason"] == {"not_select": 1} and found["latency"]["forwarded"]["count"] == 1
    assert found["databases"] == [{"name": "app", "failed": 0} | {k: asked[k] for k in ("folded", "ahead", "alone", "forwarded", "here")}]
    assert found["started_ms"] == found["since_ms"] <= found["now_ms"]

    def seen():
        history = json.loads(ask(p.http, "/history.json")[2])
        return sum(row[history["second_columns"].index("asked")] for row in history["seconds"]) == 31
    servers.wait_for(seen, "the seconds to have counted all")


def test_any_bytes_are_text(web, hostile):
    p = web()
    with p.connect(database=hostile) as c:
        c.sql("SELECT 1")
    html = ask(p.http)[2]
    assert html.count("<script") == 1 and html.count("<img") == 1, "those of the page itself"
    assert "&lt;img/src=&#39;x&#39;/onerror=document.title=&#39;owned&#39;&gt;" in html and "\u202e" not in html
    assert [d["name"] for d in json.loads(ask(p.http, "/stats.json")[2])["databases"]] == [hostile]


def loop(p, tags="", **params):
    with p.connect(**params) as c:
        for page in range(3):
            c.sql("SELECT id FROM item ORDER BY id LIMIT 20 OFFSET %d" % (page * 20))
            for i in range(20):
                c.sql("SELECT body FROM child WHERE item_id = %d" % (page * 20 + i + 1) + tags)


@pytest.mark.parametrize("mode", ["fold", "observe"])
def test_loops_lead_to_the_report(web, mode):
    p = web(mode=mode)
    assert "No loop was seen yet." in ask(p.http)[2]
    loop(p, " /* route=/items?a<b file=app/x.py line=7 */", application_name="<b>shop</b>")
    linked = wait_for_links(p)
    html = ask(p.http)[2]
    listed = json.loads(ask(p.http, "/report.json")[2])["loops"]
    assert linked == [x["id"] for x in listed]
    text = text_of(html)
    assert "SELECT body FROM child WHERE item_id = $1" in text and "&lt;b&gt;shop&lt;/b&gt;" in text and "<b>" not in html
    assert "route=/items?a&lt;b · app/x.py:7" in text
    assert "%d" % listed[0]["asked"] in text and "≈" in text and ("would be sent" in text.lower()) == (mode == "observe")


# ---- in a browser

@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if not browser.find():
        pytest.skip("there is no Chromium: apt-get install chromium-headless-shell")
    with browser.Browser(tmp_path_factory.mktemp("chromium")) as b:
        yield b


def contrast(page, selector):
    """Of an element's text with the page, by WCAG."""
    def light(colour):
        parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
        r, g, b = (x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
    one, two = (light(page.value("getComputedStyle(document.querySelector('%s'))['%s']" % of))
                for of in ((selector, "color"), ("body", "backgroundColor")))
    return (max(one, two) + 0.05) / (min(one, two) + 0.05)


def is_live(page):
    page.wait("document.body.className == 'live' && !!document.querySelector('#chart path.asked')")


def expect_clean(page, p):
    assert page.faults == []
    assert page.requests and all(r.startswith("http://127.0.0.1:%d/" % p.http) for r in page.requests), page.requests
    assert page.value("document.documentElement.scrollWidth") <= page.width


def test_in_a_browser(chromium, web, hostile):
    p = web()
    work(p)
    with p.connect(database=hostile) as c:
        c.sql("SELECT 1")
    for width, dark in ((360, False), (360, True), (1200, False), (1200, True)):
        page = chromium.open("http://127.0.0.1:%d/" % p.http, width=width, dark=dark)
        is_live(page)
        page.value("document.querySelector('details').open = true")
        expect_clean(page, p)
        assert page.value("document.title").startswith("pgfold")
        assert "32 asked" in page.text()
        assert hostile[1:-17] in page.text("#databases")
        assert page.value("document.images.length") == 1 and page.value("document.scripts.length") == 1
        for selector in (".about", ".small", ".legend dt", ".zero", "footer a", ".legend .asked dd", ".facts"):
            assert contrast(page, selector) >= 4.5, (selector, dark)
    page.value("document.getElementById('chart').focus()")
    page.wait("document.querySelectorAll('#chart path.sent')[0].getAttribute('d').length > 0")
    page.key("ArrowLeft")
    assert re.search(r"asked [\d,.]+/s\s+sent [\d,.]+/s", page.text("#chart output"))
    page.key("Escape")
    assert page.value("document.querySelector('#chart output').hidden")


def test_what_changes_is_shown(chromium, web):
    p = web()
    page = chromium.open("http://127.0.0.1:%d/" % p.http)
    is_live(page)
    assert "Nobody has logged in yet." in page.text()
    work(p)
    page.wait("document.body.innerText.includes('31 asked')")
    # A tab that nobody sees asks for nothing, and catches up when it is seen.
    page.value("Object.defineProperty(document, 'hidden', {value: true, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))")
    page.value("new Promise(done => setTimeout(done, 500))")
    before = len(page.requests)
    page.value("new Promise(done => setTimeout(done, 2500))")
    assert len(page.requests) == before
    page.value("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    servers.wait_for(lambda: page.value("1") and len(page.requests) > before, "a request of the tab that is seen again")
    expect_clean(page, p)
    # A pgfold that is gone is said to be, and one that comes in its place is shown, without rates below zero.
    p.signal(signal.SIGTERM)
    assert p.process.wait(30) == 0
    page.wait("document.body.className == 'gone'")
    assert "not reachable since" in page.text("#status")
    web(port=p.http, mode="observe")
    is_live(page)
    page.wait("document.getElementById('notice').innerText.includes('observe')")
    page.wait("document.getElementById('tiles').innerText.includes('would be spared')")
    assert "would be sent" in page.text("#legend")
    assert not re.search(r"[-−]\d", page.text("#legend") + page.value("document.querySelector('#chart path.asked').getAttribute('d')"))


def test_a_browser_without_a_script(chromium, web):
    p = web(mode="observe")
    work(p)
    page = chromium.open("http://127.0.0.1:%d/" % p.http, width=360, script=False)
    expect_clean(page, p)
    assert not any("json" in r or "page.js" in r for r in page.requests)
    seen = page.text()
    assert "would be sent" in seen and "not_select" in seen and "as of 20" in seen and "nothing is changed" in seen and "reload" in seen


def test_the_report_in_a_browser(chromium, web, tmp_path):
    """A page of its own without a script: nothing runs over the edge, all is readable, and the page's links lead to its loops."""
    p = web()
    loop(p, " /*controller='items_of_a_shop_with_a_long_name',action='index',route='/shop/items',file='app/views/items.py',line='42'*/")
    first = "/report#" + wait_for_links(p)[0]
    for width, dark in ((360, False), (360, True), (1200, False), (1200, True)):
        page = chromium.open("http://127.0.0.1:%d%s" % (p.http, first), width=width, dark=dark)
        page.wait("document.readyState == 'complete' && !!document.querySelector('section code')")
        expect_clean(page, p)
        text = page.text("section")
        assert "selectinload(Item.children)" in text and "app/views/items.py:42" in text and "action=index" in text
        assert page.value("document.scripts.length") == 0 and page.value("location.hash.slice(1) == document.querySelector('section').id")
        for selector in ("h1", "h2", "section li", "section code", "main p"):
            assert contrast(page, selector) >= 4.5, (selector, dark)
        picture = tmp_path / ("report-%d-%s.png" % (width, dark))
        page.screenshot(str(picture))
        assert picture.stat().st_size > 10000
