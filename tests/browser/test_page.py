"""The page of sd-report in a headless Chromium: widths, colours, sorting, texts of plots."""

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from test_page import make_experiment

from sdtools.bin import report

WIDTHS = (360, 768, 1440)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """With the page of an experiment with everything in it."""
    folder = tmp_path_factory.mktemp("experiment")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_experiment()
        assert report.main(["exp", "exp/report"]) == 0
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    driver.get((folder / "exp/report/index.html").as_uri())
    yield driver
    driver.quit()


def set_width(browser, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.mark.parametrize("width", WIDTHS)
def test_fits_the_screen_without_a_word_on_the_console(browser, width):
    set_width(browser, width)
    browser.refresh()
    assert browser.get_log("browser") == []
    inner, content = browser.execute_script(
        "return [innerWidth, document.documentElement.scrollWidth]"
    )
    assert inner == width and content <= width
    assert (
        browser.execute_script(
            "return performance.getEntriesByType('resource').map(entry => entry.name)"
        )
        == []
    )
    for svg in browser.find_elements(By.TAG_NAME, "svg"):
        assert svg.size["width"] > 0.7 * min(width, 400) and svg.size["height"] > 100


@pytest.mark.parametrize("width", WIDTHS)
def test_letters_of_plots_can_be_read(browser, width):
    """Seven pixels or more, most of them eight, on a phone as well."""
    set_width(browser, width)
    heights = browser.execute_script(
        "return [...document.querySelectorAll('svg text')]"
        ".filter(t => t.textContent.trim() && !t.closest('.heat'))"
        ".map(t => parseFloat(getComputedStyle(t).fontSize)"
        " * Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b))"
    )
    assert len(heights) > 50 and min(heights) >= 7 and sorted(heights)[len(heights) // 2] >= 8


def test_every_plot_has_title_description_axes_and_units(browser):
    plots = browser.find_elements(By.TAG_NAME, "svg")
    assert len(plots) >= 7
    for svg in plots:
        assert svg.get_attribute("role") == "img"
        title, description = (
            browser.execute_script("return document.getElementById(arguments[0]).textContent", name)
            for name in svg.get_attribute("aria-labelledby").split()
        )
        assert title and len(description) > 20
        words = [text.text for text in svg.find_elements(By.TAG_NAME, "text")]
        units = (
            "(%)",
            "(natural log)",
            "(Hz)",
            "(dB)",
            "normalised Bayes error",
            "order of spatial differentiation",
            "system",
            "env",
        )
        assert sum(word.endswith(units) for word in words) >= 2, words
    assert "cf_sd6" in browser.find_element(By.CSS_SELECTOR, "svg desc").get_attribute(
        "textContent"
    )


def test_tables_sort_both_ways(browser):
    set_width(browser, 1440)
    table = browser.find_element(By.CSS_SELECTOR, "table.sortable")

    def column(index):
        return [
            row.find_elements(By.TAG_NAME, "td")[index].text
            for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")
        ]

    as_made = column(0)
    for index, parse in ((3, float), (0, str)):
        button = table.find_elements(By.CSS_SELECTOR, "th button")[index]
        button.click()
        up = [parse(cell) for cell in column(index)]
        assert (
            up == sorted(up)
            and table.find_elements(By.TAG_NAME, "th")[index].get_attribute("aria-sort")
            == "ascending"
        )
        button.click()
        assert [parse(cell) for cell in column(index)] == sorted(up, reverse=True)
    assert sorted(column(0)) == sorted(as_made)


def test_light_dark_and_print(browser):
    """Letters of the plots are those of the page, and stand out."""
    seen = {}
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        seen[scheme] = browser.execute_script(
            "const body = getComputedStyle(document.body);"
            "const text = getComputedStyle(document.querySelector('svg text'));"
            "return [body.backgroundColor, body.color, text.fill]"
        )
    assert seen["light"] == ["rgb(255, 255, 255)", "rgb(27, 27, 31)", "rgb(27, 27, 31)"]
    assert seen["dark"] == ["rgb(22, 22, 26)", "rgb(232, 232, 236)", "rgb(232, 232, 236)"]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert (
        browser.execute_script("return getComputedStyle(document.querySelector('.wide')).overflowX")
        == "visible"
    )
    assert len(browser.print_page()) > 50_000
