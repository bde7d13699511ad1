"""Conversations whose prompts are counted: as OpenAI's chat API has them on the wire."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a given location.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city and its state, e.g. São Paulo"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
                "depth": {"type": "number", "default": 0.5},
            },
            "required": ["city"],
        },
    },
}

TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "现在几点？ The time of day.",
        "parameters": {"type": "object", "properties": {}},
    },
}


def user(content):
    return {"role": "user", "content": content}


def system(content):
    return {"role": "system", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def call(name, arguments, id):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(content, id):
    return {"role": "tool", "content": content, "tool_call_id": id}


ASKED = [
    system("You are terse."),
    user("What is the weather in Paris?"),
    assistant(None, tool_calls=[call("get_weather", '{"city": "Paris", "unit": "celsius"}', "abcdefghi")]),
    tool('{"temperature": 21.5, "sky": "clear"}', "abcdefghi"),
]

CASES = {
    "one turn": {"messages": [user("Hello, world!")]},
    "a system message": {"messages": [system("You are a helpful assistant."), user("Hi")]},
    "many turns": {
        "messages": [
            system("Answer in one word."),
            user("Is the sky blue?"),
            assistant("Yes."),
            user("And at night?\n\nThink about it."),
            assistant("Black."),
            user("Why?"),
        ]
    },
    "an answer to go on from": {"messages": [user("Count to three."), assistant("One, two,")]},
    "nothing said": {"messages": [user("")]},
    "nothing said by the system": {"messages": [system(""), user("Hi")]},
    "white space": {"messages": [user("  two before,\n\n\nthree lines, a tab\tand two after  ")]},
    "CJK": {
        "messages": [
            system("你是一个乐于助人的助手。"),
            user("请用中文解释什么是机器学习。"),
            assistant("机器学习是人工智能的一个分支。"),
            user("日本語で説明してください。한국어로도요."),
        ]
    },
    "emoji": {"messages": [user("👋🏽 Hi 👨‍👩‍👧‍👦! 🇫🇷🎉🎉🎉 ok?")]},
    "code": {"messages": [user("```rust\nfn main() {\n    println!(\"{:?}\", vec![1, 2, 3]);\n}\n```\nWhat does it print?")]},
    "special tokens as text": {"messages": [user("What is <|im_start|> or <|eot_id|> or [INST] or </s>?")]},
    "several parts": {
        "messages": [user([{"type": "text", "text": "Look at this:"}, {"type": "text", "text": "a second part."}])]
    },
    "tools": {"messages": [user("What is the weather in Paris?")], "tools": [WEATHER]},
    "tools and a system message": {
        "messages": [system("You are terse."), user("What time is it?")],
        "tools": [WEATHER, TIME],
    },
    "a tool's result": {"messages": ASKED, "tools": [WEATHER]},
    "an answer after a tool's result": {
        "messages": [*ASKED, assistant("21.5 °C and clear."), user("Thanks! And in Rome?")],
        "tools": [WEATHER],
    },
    "two calls at once": {
        "messages": [
            user("Paris and Rome?"),
            assistant(
                None,
                tool_calls=[
                    call("get_weather", '{"city":"Paris"}', "abcdefghi"),
                    call("get_weather", '{"city":"Rome","days":3}', "jklmnopqr"),
                ],
            ),
            tool("21 °C", "abcdefghi"),
            tool("29 °C", "jklmnopqr"),
        ],
        "tools": [WEATHER],
    },
    "reasoning": {
        "messages": [
            user("What is 17 times 23?"),
            assistant("391.", reasoning_content="17 times 20 is 340, 17 times 3 is 51.\n\nIn all 391."),
            user("And times two?"),
        ]
    },
    "reasoning within the content": {
        "messages": [
            user("What is 17 times 23?"),
            assistant("<think>\n340 and 51.\n</think>\n\n391."),
            user("And times two?"),
        ]
    },
    "reasoning before a call": {
        "messages": [
            user("Weather in Paris?"),
            assistant(
                "",
                reasoning_content="I have a tool for that.",
                tool_calls=[call("get_weather", '{"city": "Paris"}', "abcdefghi")],
            ),
            tool("21 °C", "abcdefghi"),
        ],
        "tools": [WEATHER],
    },
    "no thinking": {
        "messages": [user("Hello!")],
        "chat_template_kwargs": {"enable_thinking": False},
    },
    "no generation prompt": {"messages": [user("Hello!")], "add_generation_prompt": False},
    "an answer left open": {
        "messages": [user("Say hi"), assistant("Hello the")],
        "continue_final_message": True,
        "add_generation_prompt": False,
    },
    "an answer left open before a space": {
        "messages": [system("Be kind."), user("Say hi"), assistant(" <|im_end|> e ")],
        "continue_final_message": True,
        "add_generation_prompt": False,
    },
    "a developer's message": {"messages": [{"role": "developer", "content": "Be terse and kind."}, user("hi")]},
    "a role that nobody knows": {
        "messages": [user("hi"), assistant("hello"), {"role": "critic", "content": "Too short an answer."}, user("on")]
    },
    "a function's role": {
        "messages": [
            user("hi"),
            assistant(None, tool_calls=[call("get_time", "{}", "abcdefghi")]),
            {"role": "function", "name": "get_time", "content": "noon"},
            user("on"),
        ]
    },
    "a content of null": {"messages": [user("hi"), assistant(None), user("on")]},
    "an answer of no parts": {"messages": [user("hi"), assistant([]), user("on")]},
    "an empty answer": {"messages": [user("hi"), assistant(""), user("on")]},
    "spaces at an answer's end": {"messages": [user("a"), assistant("yes "), user("b"), assistant("no\n"), user("c ")]},
    "parts without text": {
        "messages": [
            user([{"type": "text", "text": ",/"}, {"type": "text", "text": ""}]),
            assistant("a"),
            user([{"type": "text", "text": ""}, {"type": "text", "text": "'>."}]),
        ]
    },
}
