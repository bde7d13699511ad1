// The token that opens the API, kept for this tab and its session alone.

const NAME = "llmtap.token";

export const token = () => sessionStorage.getItem(NAME);

export const keep = (value) => sessionStorage.setItem(NAME, value);

export const forget = () => sessionStorage.removeItem(NAME);
