"""lxml: parsing, XPath, XSLT, HTML, objects and errors."""

import io

import show
from lxml import etree, html, objectify

root = etree.fromstring("<a><b k='1'>x</b><b k='2'/><!-- c --></a>")
print(etree.tostring(root, pretty_print=True).decode(), root.xpath("//b/@k"), root.find("b").text)
style = etree.XSLT(
    etree.fromstring(
        "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
        "<xsl:template match='/'><out n='{count(//b)}'/></xsl:template></xsl:stylesheet>"
    )
)
print(str(style(root)))
page = html.fromstring("<p>one<p>two <a href='x'>link</a>")
page.make_links_absolute("http://example.org/")
print(html.tostring(page).decode(), [each[2] for each in page.iterlinks()], page.text_content())
print(objectify.fromstring("<r><n>3</n></r>").n + 1)
for wrong in (
    lambda: etree.fromstring("<a><b></a>"),
    lambda: root.xpath("//b["),
    lambda: etree.parse("no/file.xml"),
    lambda: etree.parse(io.BytesIO(b"")),
    lambda: etree.XMLSchema(etree.fromstring("<x/>")),
    lambda: objectify.fromstring("<r/>").none,
):
    with show.error():
        wrong()
for event, element in etree.iterparse(io.BytesIO(b"<a><b/><c/></a>"), events=("start", "end")):
    print(event, element.tag)
for module in (
    "lxml.cssselect",
    "lxml.html.diff",
    "lxml.isoschematron",
    "lxml.sax",
    "lxml.builder",
    "lxml.doctestcompare",
):
    try:
        print(__import__(module, fromlist=["x"]).__file__)
    except ImportError as problem:
        print(module, problem)
print(etree.LXML_VERSION, etree.LIBXML_VERSION)
show.modules()
