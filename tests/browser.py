"""A page in headless Chromium that notes every complaint: console messages, errors, and requests to other machines."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
OURS = ("file:", "data:", "blob:", "http://127.0.0.1:", "http://localhost:")


@contextmanager
def opened(url, width=1200, scheme="light"):
    """Give the page at `url`; once it is closed, fail when it complained."""
    from playwright.sync_api import sync_playwright

    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(OURS) else None)
        page.goto(url)
        yield page
        browser.close()
    assert complaints == [], complaints


def tab_to(page, selector, most=40):
    """Press Tab until the focus is in `selector`; fails when a keyboard does not reach it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def contrast(locator):
    """Return the WCAG 2 contrast of an element's text with what is painted behind it (1 to 21)."""
    return locator.evaluate(
        """element => {
          const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
          const paint = (colour) => { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); };
          const light = () => {
            const [r, g, b] = Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 3), (v) => v / 255)
              .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const behind = [];
          for (let part = element; part; part = part.parentElement) behind.unshift(getComputedStyle(part).backgroundColor);
          ["white", ...behind].forEach(paint);
          const ground = light();
          paint(getComputedStyle(element).color);
          const [low, high] = [ground, light()].sort((a, b) => a - b);
          return (high + 0.05) / (low + 0.05);
        }"""
    )
